"""Gather what a study measured over data sets, models and seeds; summarise it; say what failed, what is absent, what it cost."""

from _job import provenance, run
from sclatent.io.atomic import write_text
from sclatent.io.provenance import as_text
from sclatent.io.tables import absent_table, as_kind, concat_tables, read_table, write_table
from sclatent.report.headline import (
    as_html_page,
    as_text_table,
    clustering_headline,
    generation_headline,
    perturbation_headline,
)
from sclatent.report.summary import (
    mean_of_groups,
    mean_of_types,
    read_resources,
    read_runs,
    runs_behind,
    summarize,
)

HEADLINES = {
    "summary": ("Clusters by k-means on the latent, against the labels", clustering_headline),
    "perturbation_summary": (
        "Treated cells as predicted, mean over cell types",
        perturbation_headline,
    ),
    "generation_summary": (
        "Cells drawn from the model beside real ones, mean over groups",
        generation_headline,
    ),
}


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params

    def gather(paths, kind):
        return as_kind(concat_tables([read_table(path, kind) for path in paths], kind), kind)

    runs = read_runs(params.jobs, files.latents, files.runs)
    predicting, drawing = runs_behind(files.perturbation, runs), runs_behind(files.generation, runs)
    resources = read_resources(files.benchmarks)
    scores, generation = gather(files.scores, "scores"), gather(files.generation, "generation")
    predicted = [
        read_table(path, "perturbation").assign(trained_on=name)
        for name, path in zip(params.perturbed, files.perturbation, strict=True)
    ]
    perturbation = concat_tables(predicted, "perturbation")
    no_prior = [
        absent_table(
            "generation", dataset, [("all", "its family has no prior to draw cells from")], model
        )
        for dataset, model in params.no_prior
    ]
    absent = concat_tables(
        [*(read_table(path, "absent") for path in files.absent), *no_prior], "absent"
    )
    tables = {
        "scores": scores,
        "perturbation": as_kind(perturbation, "perturbation"),
        "generation": generation,
        "summary": summarize(scores, runs, resources, "summary"),
        "perturbation_summary": summarize(
            mean_of_types(perturbation), predicting, resources, "perturbation_summary"
        ),
        "generation_summary": summarize(
            mean_of_groups(generation), drawing, resources, "generation_summary"
        ),
        "absent": as_kind(absent, "absent"),
        "runs": runs,
    }
    origin = provenance(
        snakemake,
        [
            *files.scores,
            *files.latents,
            *files.runs,
            *files.perturbation,
            *files.generation,
            *files.absent,
        ],
    )
    for kind, table in tables.items():
        write_table(table, output[kind], kind, origin)
    write_table(resources, output.resources, "resources", provenance(snakemake, files.benchmarks))
    headlines = {
        caption: headline(tables[kind], params.datasets, params.models)
        for kind, (caption, headline) in HEADLINES.items()
        if len(tables[kind])
    }
    text = "\n\n".join(
        f"{caption}\n\n{as_text_table(table)}" for caption, table in headlines.items()
    )
    write_text(output.headline, f"# {as_text(origin)}\n{text}\n")
    write_text(output.page, as_html_page(headlines, params.title, as_text(origin)))


if __name__ == "__main__":
    run(main)
