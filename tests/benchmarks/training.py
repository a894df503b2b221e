"""Speed of training on PBMC 3k beside a plain PyTorch loop and scVI.

python tests/benchmarks/training.py [rounds]

Measures in rounds (5 unless told), all variants in each and each in a process of its own, and
prints medians of the seconds per epoch in batches of 256 on two threads, their ratios, and which
targets are reached. Variants, all of a beta-VAE but scVI:

- plain: a Dataset and a DataLoader of dense cells, and the loop that anyone would write;
- fp32, bf16: the function that the rule train calls, with that precision; bf16 is the fast mode;
- scVI: its own model on the counts, by the interpreter in .venv-scvi if `make bench` made that.

The share of the peak counts the operations of the dense products, whether the trainer makes them
or cheaper sparse ones: beyond 100 % there is less to compute than that.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import pandas as pd
import torch
from pbmc3k import PROJECT, configuration, preprocessed, settings_of, training_data
from plain_vae import PlainVAE, plain_epoch

from sclatent.common.determinism import make_deterministic
from sclatent.config.load import Config
from sclatent.training.batches import sparse_pays
from sclatent.training.inputs import Input
from sclatent.training.memory import keep_freed_memory
from sclatent.training.model_with_input import ModelWithInput
from sclatent.training.run import train_run

THREADS = 2
BATCH = 256
SCVI = PROJECT / ".venv-scvi" / ".ready"  # what `make` writes once the environment is whole
SCVI_EPOCHS = 3
SIDE = 2048  # of the matrices whose product gives the peak
LEAST_SHARE_OF_PEAK = 0.8  # of fp32


class Case(NamedTuple):
    """A model of the configuration on all genes or variable ones, and for how many epochs it is
    trained to be measured.

    targets: how many times as fast as other variants the fast mode should be.
    """

    name: str
    model: str
    n_top_genes: int | None
    epochs: int
    targets: dict[str, float]


CASES = [
    Case("128-32-16", "beta_vae", None, 10, {"plain": 3, "scVI": 12}),
    Case("128-32-16 on 2,000 genes", "beta_vae", 2000, 30, {"scVI": 6}),
    Case("800-400", "beta_vae_code", None, 3, {"plain": 2.5}),
]


def our_epoch(config: Config, case: Case, precision: str, adata: ad.AnnData) -> tuple[float, float]:
    """Return the seconds of an epoch as the workflow trains, and the loss of the last one; the
    first one is not counted.
    """
    seconds = []
    for epochs in (1, 1 + case.epochs):
        make_deterministic(0, THREADS)
        settings = settings_of(
            config, case.model, epochs=epochs, batch_size=BATCH, precision=precision
        )
        start = time.perf_counter()
        _, history = train_run(training_data(adata), None, settings)
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / case.epochs, [
        entry["value"] for entry in history if entry["part"] == "loss"
    ][-1]


def peak_flops() -> float:
    """Return the floating-point operations a second of the fastest of ten float32 products of large
    matrices.
    """
    a, b = torch.rand(2, SIDE, SIDE)
    product, seconds = torch.empty(SIDE, SIDE), math.inf
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        seconds = min(seconds, time.perf_counter() - start)
    return 2 * SIDE**3 / seconds


def measure(case: Case, variant: str, path: Path) -> dict[str, float]:
    """Return seconds per epoch and last loss of a variant on the cells of a file, and the peak
    beside them.
    """
    torch.set_num_threads(THREADS)
    config, adata, peak = configuration(), ad.read_h5ad(path), peak_flops()
    if variant == "plain":
        torch.manual_seed(0)
        model = PlainVAE(adata.n_vars, config.models[case.model].hyperparameters.model_dump())
        seconds, loss = plain_epoch(model, adata.X.toarray(), case.epochs, BATCH)
    else:
        keep_freed_memory()
        seconds, loss = our_epoch(config, case, variant, adata)
    return {"seconds": seconds, "loss": loss, "peak": peak}


def measure_alone(case: Case, variant: str, path: Path) -> dict[str, float]:
    """Return what a variant takes in a process of its own, as it would run without the others."""
    command = [sys.executable, __file__, case.name, variant, str(path)]
    if variant == "scVI":
        script = Path(__file__).with_name("scvi_epochs.py")
        command = [
            str(SCVI.parent / "bin" / "python"),
            str(script),
            str(THREADS),
            str(1 + SCVI_EPOCHS),
            str(path),
        ]
    printed = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
    return {"case": case.name, "variant": variant, **json.loads(printed.splitlines()[-1])}


def measure_rounds(of_case: dict[str, ad.AnnData], rounds: int) -> pd.DataFrame:
    """Return what all variants took in each round, one row a round, case and variant."""
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for name, adata in of_case.items():
            adata.write_h5ad(Path(folder) / f"{name}.h5ad")
        for i in range(rounds):
            for case in CASES:
                variants = ["plain", "fp32", "bf16"] + ["scVI"] * (
                    SCVI.exists() and "scVI" in case.targets
                )
                measured += [
                    measure_alone(case, variant, Path(folder) / f"{case.name}.h5ad")
                    for variant in variants
                ]
            print(f"round {i + 1} of {rounds}", file=sys.stderr)
    return pd.DataFrame(measured)


def products(config: Config, case: Case, adata: ad.AnnData) -> str:
    """Return which products the trainer chooses for a case."""
    fitted = Input(adata.n_vars)
    model = ModelWithInput(
        config.models[case.model].family,
        config.models[case.model].hyperparameters.model_dump(),
        fitted,
        None,
        [],
    ).model
    return (
        "sparse"
        if sparse_pays(model.sparse_widths, training_data(adata).values, fitted, BATCH, "cpu")
        else "dense"
    )


def summary(config: Config, of_case: dict[str, ad.AnnData], measured: pd.DataFrame) -> pd.DataFrame:
    """Return medians over the rounds by case and variant, with the extremes of the seconds, ratios,
    and shares of the peak.
    """
    groups = measured.groupby(["case", "variant"], sort=False)
    table = groups[["seconds", "loss"]].median()
    table.insert(1, "least", groups["seconds"].min())
    table.insert(2, "most", groups["seconds"].max())
    peak = measured["peak"].median()
    for case in CASES:
        adata, of_variant = of_case[case.name], table["seconds"][case.name]
        flops = (
            adata.n_obs
            * PlainVAE(
                adata.n_vars, config.models[case.model].hyperparameters.model_dump()
            ).flops_per_cell()
        )
        for variant, seconds in of_variant.items():
            row = (case.name, variant)
            for other in ("plain", "scVI"):
                table.loc[row, f"x {other}"] = of_variant.get(other, math.nan) / seconds
            if variant != "scVI":
                table.loc[row, "% of peak"] = 100 * flops / seconds / peak
                table.loc[row, "products"] = (
                    "dense" if variant == "plain" else products(config, case, adata)
                )
    return table


def print_targets(table: pd.DataFrame) -> None:
    """Print which targets are reached."""
    for case in CASES:
        for other, least in case.targets.items():
            ratio = table.loc[(case.name, "bf16"), f"x {other}"]
            verdict = (
                "not measured" if math.isnan(ratio) else "reached" if ratio >= least else "missed"
            )
            print(
                f"{verdict}: {case.name}, bf16 {ratio:.1f} times as fast as {other}, target {least}"
            )
        share = table.loc[(case.name, "fp32"), "% of peak"] / 100
        verdict = "reached" if share >= LEAST_SHARE_OF_PEAK else "missed"
        print(
            f"{verdict}: {case.name}, fp32 at {share:.0%} of the peak of its products, target "
            f"{LEAST_SHARE_OF_PEAK:.0%}"
        )


def main() -> None:
    """Measure all rounds and print the table and the targets."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    config = configuration()
    of_case = {case.name: preprocessed(config, case.n_top_genes) for case in CASES}
    print(
        "data:",
        "PBMC 3k"
        if "cell_type" in of_case[CASES[0].name].obs
        else "drawn at random, since PBMC 3k is not there",
    )
    if not SCVI.exists():
        print("scVI is not measured, since `make .venv-scvi/.ready` has not made its environment")
    print(
        f"load of the machine before: {os.getloadavg()[0]:.1f}; beside other work none of this "
        f"holds"
    )
    measured = measure_rounds(of_case, rounds)
    table = summary(config, of_case, measured)
    print(
        f"medians of {rounds}; seconds per epoch; peak of fp32 products "
        f"{measured['peak'].median() / 1e9:.0f} GFLOP/s"
    )
    print(table.to_string(float_format=lambda x: f"{x:.4g}", na_rep=""))
    print_targets(table)


if __name__ == "__main__":
    if sys.argv[-1].endswith(".h5ad"):
        name, variant, path = sys.argv[1:]
        print(
            json.dumps(
                measure(next(case for case in CASES if case.name == name), variant, Path(path))
            )
        )
    else:
        main()
