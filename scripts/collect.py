"""Gather what a study measured, average it over seeds, and list failures, absences and costs."""

from _job import provenance, run
from sclatent.io.atomic import write_text
from sclatent.io.provenance import as_text
from sclatent.io.tables import absent_table, as_kind, concat_tables, read_table, write_table
from sclatent.report.benchmarks import read_resources
from sclatent.report.headline import as_html_page, as_text_table, headlines_of
from sclatent.report.runs import read_runs, runs_of_models
from sclatent.report.summary import mean_of_groups, mean_of_types, summarize


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    runs = read_runs(params.encoded, files.latents, params.runs, files.runs)
    resources = read_resources(params.jobs, files.benchmarks)
    scores, generation = gather(files.scores, "scores"), gather(files.generation, "generation")
    perturbation = read_perturbation(files.perturbation, params.predicted)
    tables = {
        "scores": scores,
        "perturbation": as_kind(perturbation, "perturbation"),
        "generation": generation,
        "summary": summarize(scores, runs, resources, "summary"),
        "perturbation_summary": summarize(
            mean_of_types(perturbation),
            runs_of_models(runs, params.predicted),
            resources,
            "perturbation_summary",
        ),
        "generation_summary": summarize(
            mean_of_groups(generation),
            runs_of_models(runs, params.generated),
            resources,
            "generation_summary",
        ),
        "absent": read_absences(files.absent, params.no_prior),
        "runs": runs,
    }
    results = [
        *files.scores,
        *files.latents,
        *files.runs,
        *files.perturbation,
        *files.generation,
        *files.absent,
    ]
    origin = provenance(snakemake, results)
    for kind, table in tables.items():
        write_table(table, output[kind], kind, origin)
    write_table(resources, output.resources, "resources", provenance(snakemake, files.benchmarks))
    headlines = headlines_of(tables, params.datasets, params.models)
    text = "\n\n".join(f"{caption}\n\n{as_text_table(t)}" for caption, t in headlines.items())
    write_text(output.headline, f"# {as_text(origin)}\n{text}\n")
    write_text(output.page, as_html_page(headlines, params.title, as_text(origin)))


def gather(paths, kind):
    """Read tables of a kind as one."""
    return as_kind(concat_tables([read_table(path, kind) for path in paths], kind), kind)


def read_perturbation(paths, predicted):
    """Read scores of predictions, with the data set that each model was trained on."""
    tables = [
        read_table(path, "perturbation").assign(trained_on=dataset)
        for path, (dataset, _) in zip(paths, predicted, strict=True)
    ]
    return concat_tables(tables, "perturbation")


def read_absences(paths, no_prior):
    """Read what does not apply, and add the models that generate no cells."""
    tables = [read_table(path, "absent") for path in paths]
    for dataset, model in no_prior:
        reason = "its family has no prior to draw cells from"
        tables.append(absent_table("generation", dataset, [("all", reason)], model))
    return as_kind(concat_tables(tables, "absent"), "absent")


if __name__ == "__main__":
    run(main)
