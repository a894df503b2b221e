"""Predict treated cells by every seed of one model on one data set, and score the predictions.

A model predicts in each way that its family allows.
"""

from functools import partial

from _job import provenance, run
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.io.tables import absent_table, as_kind, concat_tables, read_table, write_table
from sclatent.perturbation.by_models import predictions_of_model
from sclatent.perturbation.scores import score_targets, with_bounds
from sclatent.perturbation.targets import read_perturbation_data
from sclatent.training.devices import choose_device, device_name
from sclatent.training.saved import trained_runs


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    model = snakemake.wildcards.model
    cells = read_perturbation_data(files.data, params.held_out)
    markers, baselines = (
        read_table(files.markers, "markers"),
        read_table(files.baselines, "perturbation"),
    )
    tables, predicted, missing = [], [], []
    for trained_run in trained_runs(
        params.seeds, files.weights, files.runs, device, params.threads
    ):
        seed, conditions = trained_run.seed, trained_run.record["conditions"]
        found = trained_run.attempt(_score, conditions, params.condition, cells, markers)
        scores, responses, absent = found or (None, None, [("all", trained_run.reason)])
        missing.append(absent_table("perturbation", params.dataset, absent, model, seed))
        if scores is not None:
            tables.append(scores.assign(seed=seed))
            predicted.append(responses.assign(seed=seed))
    scores = concat_tables(tables, "perturbation").assign(dataset=params.dataset, model=model)
    origin = provenance(
        snakemake,
        [files.data, files.markers, files.baselines, *files.weights, *files.runs],
        device=device_name(device),
    )
    write_table(
        as_kind(with_bounds(scores, baselines), "perturbation"),
        output.scores,
        "perturbation",
        origin,
    )
    responses = as_kind(concat_tables(predicted, "responses"), "responses")
    # Of the lowest seed. A loss must not choose it, as it would be that of the predicted cells.
    write_table(
        responses[responses["seed"] == responses["seed"].min()],
        output.responses,
        "responses",
        origin,
    )
    write_table(concat_tables(missing, "absent"), output.absent, "absent", origin)


def _score(model, conditions, condition, cells, markers):
    predict = partial(predictions_of_model, model, conditions, condition, cells)
    return score_targets(cells, markers, predict, EVALUATION_SEED)


if __name__ == "__main__":
    run(main)
