"""Rank the genes that respond to a treatment, and score predictions that need no model."""

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.io.tables import absent_table, as_kind, concat_tables, write_table
from sclatent.perturbation.scores import (
    predictions_without_model,
    rank_markers,
    real_responses,
    score_targets,
    with_bounds,
)
from sclatent.perturbation.targets import read_perturbation_data


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    make_deterministic(EVALUATION_SEED, params.threads)
    cells = read_perturbation_data(files.data, params.held_out)
    real = real_responses(cells)
    markers = rank_markers(real)
    scores, predicted, missing = score_targets(
        cells,
        markers,
        lambda target: predictions_without_model(cells, target, EVALUATION_SEED),
        EVALUATION_SEED,
    )
    scores = with_bounds(scores, scores).assign(dataset=params.dataset)
    origin = provenance(snakemake, seed=EVALUATION_SEED)
    write_table(markers, output.markers, "markers", origin)
    write_table(as_kind(scores, "perturbation"), output.scores, "perturbation", origin)
    write_table(
        as_kind(concat_tables([real, predicted], "responses"), "responses"),
        output.responses,
        "responses",
        origin,
    )
    write_table(
        absent_table("perturbation", params.dataset, missing), output.absent, "absent", origin
    )


if __name__ == "__main__":
    run(main)
