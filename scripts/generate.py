"""Draw cells from every seed of one model and score them.

Cells are drawn for every component and condition. Those of the best seed are kept.
"""

import pandas as pd

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.generation.draw import component_types_of_seeds, draw, median_total
from sclatent.generation.drawn import as_matrix, no_cells
from sclatent.generation.scores import DrawnScore, RealCells, score_drawn
from sclatent.io.by_seed import best_seed, failures_of
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
    real, total = RealCells(adata.X, adata.obs, EVALUATION_SEED), median_total(adata)
    component_types, failed = component_types_of_seeds(latents, adata.obs), failures_of(latents)
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
        conditions = trained_run.record["conditions"]
        types = component_types.get(seed)
        found = trained_run.attempt(
            _draw_and_score, params.condition, conditions, types, total, real
        )
        drawn, rows, absent = found or (None, [], [("all", trained_run.reason)])
        if seed == best:
            kept = (
                as_matrix(drawn, adata.var_names, seed)
                if found
                else no_cells(adata.var_names, trained_run.reason)
            )
        names = {"dataset": wildcards.dataset, "model": wildcards.model, "seed": seed}
        tables.append(pd.DataFrame(rows, columns=DrawnScore._fields).assign(**names))
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
