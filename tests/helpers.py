"""What tests share that is no fixture: copies of the project, a job as scripts see it, and files
written by hand.
"""

import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import yaml
from scipy import sparse
from snakemake.utils import update_config

from sclatent.config.tables import with_tables

PROJECT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
PARTS = ["Snakefile", "workflow", "scripts", "config", "envs", "profiles"]
# Results that say when or how fast jobs ran, or that are made from such: times of jobs, summaries
# that hold them, and what shows these. And the stamp, which has a name of its own for each folder
# of results.
TIMED = (
    r"(benchmarks|logs|checkpoints)/.*|\.made_by|overview\.rst|report\.html|paper\.pdf|.*\.ipynb"
)
TIMED += r"|.*/(resources|(\w+_)?summary)\.(tsv|parquet)|.*/figures/(score_heatmap|training)/.*"
# Settings of a study whose scores are of no interest: the fewest steps of t-SNE that scikit-learn
# allows, few starts of k-means.
CHEAP = {"embedding": {"max_iter": 250}, "clustering": {"n_init": 3}}


def merged_config(*files: str) -> dict:
    """Return the configuration as the workflow merges it: its own tables, and files over them."""
    given: dict = {}
    for name in files:
        update_config(given, yaml.safe_load((PROJECT / name).read_text()))
    return with_tables(given, PROJECT / "config")


class Workflow:
    """A folder with a copy of the project, with a study small enough for a test."""

    def __init__(self, folder: Path):
        self.folder = folder
        if (folder / "Snakefile").exists():
            return
        for part in PARTS:
            source = PROJECT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / part)

    def copied(self, folder: Path) -> "Workflow":
        """Return a copy of the workflow and of all results, with the times of the files."""
        return Workflow(shutil.copytree(self.folder, folder))

    def add_family(self, name: str, hyperparameters: str, model: str) -> None:
        """Add a model family as a method developer does: a file of settings and one of code."""
        library = self.folder / "scripts" / "sclatent"
        (library / "families" / f"{name}.py").write_text(hyperparameters)
        (library / "models" / f"{name}.py").write_text(model)

    def configure(self, **overrides) -> None:
        """Replace the quick start by overrides of the configuration."""
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(overrides))

    def snakemake(
        self, *arguments: str, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess:
        """Run Snakemake to its end, without the data directory of the tests; standard error is part
        of stdout.
        """
        return subprocess.run(
            [*prefix, *SNAKEMAKE, *arguments], **self._streams(), timeout=1800, check=False
        )

    @contextmanager
    def started(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen]:
        """Start Snakemake likewise, as a session of its own; what is left of it ends with the
        block.
        """
        process = subprocess.Popen(
            [*prefix, *SNAKEMAKE, *arguments], **self._streams(), start_new_session=True
        )
        try:
            with process.stdout:
                yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _streams(self) -> dict:
        environment = {name: value for name, value in os.environ.items() if name != "SCLATENT_DATA"}
        return {
            "cwd": self.folder,
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    def path(self, name: str) -> Path:
        """Return the path of a result."""
        return self.folder / "results" / name


def differing(results: Path, expected: Path) -> set[str]:
    """Return the files of a results folder that are not, byte for byte, in another one, which may
    hold more.

    Left out is what says when or how fast jobs ran, and what holds such.
    """
    names = [str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()]
    compared = [name for name in names if not re.fullmatch(TIMED, name)]
    assert compared
    _, different, absent = filecmp.cmpfiles(results, expected, compared, shallow=False)
    return {*different, *absent}


class Names(dict):
    """Values by name, as items and as attributes."""

    __getattr__ = dict.__getitem__


def job(
    rule: str,
    input: dict,
    output: dict | list,
    params: dict | None = None,
    wildcards: dict | None = None,
) -> Names:
    """Return what a script finds as `snakemake` in a job that runs on the processor."""
    output = Names(output) if isinstance(output, dict) else output
    params, wildcards = Names(params or {}), Names(wildcards or {})
    named = {
        "input": Names(input),
        "output": output,
        "params": params,
        "wildcards": wildcards,
    }
    return Names(rule=rule, **named, config={"device": "cpu"}, resources={})


def write_by_hand(
    path: Path, adata: ad.AnnData, counts: np.ndarray, dtype, index_dtype="<i4", layout: str = "csr"
) -> None:
    """Write an AnnData file with the cells and genes of adata and with counts of any type and byte
    order.
    """
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "obs", adata.obs)
        ad.io.write_elem(file, "var", adata.var)
        if layout == "dense":
            file["X"] = counts.astype(dtype)
            file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            return
        values = (sparse.csr_matrix if layout == "csr" else sparse.csc_matrix)(counts)
        group = file.create_group("X")
        group.attrs.update(
            {
                "encoding-type": f"{layout}_matrix",
                "encoding-version": "0.1.0",
                "shape": counts.shape,
            }
        )
        group["data"] = values.data.astype(dtype)
        group["indices"] = values.indices.astype(index_dtype)
        group["indptr"] = values.indptr.astype(index_dtype)
