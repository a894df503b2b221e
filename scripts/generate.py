"""Draw cells from every seed of one model, for every component and condition, score them, and keep those of the best seed."""

import numpy as np
import pandas as pd

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.generation.drawn import as_matrix, no_cells
from sclatent.generation.scores import MEASURED, Real, draw, score_drawn, tag_components
from sclatent.io.by_seed import arrays_of, best_seed, failures_of
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.io.tables import absent_table, as_kind, concat_tables, write_table
from sclatent.training.devices import choose_device, device_name
from sclatent.training.saved import trained_runs


def main(snakemake):
    files, output, params, wildcards = (
        snakemake.input,
        snakemake.output,
        snakemake.params,
        snakemake.wildcards,
    )
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    adata, latents = read_matrix(files.data), read_matrix(files.latents)
    make_deterministic(EVALUATION_SEED, params.threads)
    real = Real(adata.X, adata.obs, EVALUATION_SEED)
    training = (adata.obs["split"] == "train").to_numpy()
    total = float(np.median(np.asarray(np.expm1(adata.X[training]).sum(axis=1))))
    encoded = adata.obs.loc[latents.obs_names]
    tagging = (encoded["split"] == "train").to_numpy()
    if not tagging.any():  # the study looks at the cells held out
        tagging[:] = True
    shares, failed = arrays_of(latents), failures_of(latents)
    tables, missing = [], []
    best, kept = (
        best_seed(latents),
        no_cells(adata.var_names, params.incomparable or "every seed failed"),
    )
    for trained_run in trained_runs(
        params.seeds, files.weights, files.runs, device, params.threads
    ):
        seed = trained_run.seed
        if reason := params.incomparable or failed.get(seed):
            missing.append(
                absent_table(
                    "generation", wildcards.dataset, [("all", reason)], wildcards.model, seed
                )
            )
            continue
        tags = None
        if (of_seed := shares.get(("responsibilities", seed))) is not None:
            tags = tag_components(of_seed[tagging], encoded["cell_type"][tagging])
        conditions = trained_run.record["conditions"]
        found = trained_run.attempt(
            _draw_and_score, params.condition, conditions, tags, total, real
        )
        drawn, rows, absent = found or (None, [], [("all", trained_run.reason)])
        if seed == best:
            kept = (
                as_matrix(drawn, adata.var_names, seed)
                if found
                else no_cells(adata.var_names, trained_run.reason)
            )
        names = {"dataset": wildcards.dataset, "model": wildcards.model, "seed": seed}
        tables.append(pd.DataFrame(rows, columns=MEASURED).assign(**names))
        missing.append(absent_table("generation", wildcards.dataset, absent, wildcards.model, seed))
    origin = provenance(
        snakemake,
        [files.data, files.latents, *files.weights, *files.runs],
        device=device_name(device),
    )
    write_table(
        as_kind(concat_tables(tables, "generation"), "generation"),
        output.scores,
        "generation",
        origin,
    )
    write_table(concat_tables(missing, "absent"), output.absent, "absent", origin)
    write_matrix(kept, output.drawn, "drawn", origin)


def _draw_and_score(model, condition, conditions, tags, total, real):
    drawn = draw(model, condition, conditions, tags, total)
    return drawn, *score_drawn(drawn, real)


if __name__ == "__main__":
    run(main)
