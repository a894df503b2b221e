"""Gather the scores of a study over data sets, models and seeds; summarise them; say what failed and what it cost."""

from _job import provenance, run
from sclatent.atomic import write_text
from sclatent.provenance import as_text
from sclatent.summary import as_html_page, as_text_table, headline, read_resources, read_runs, summarize
from sclatent.tables import concat_tables, read_table, write_table


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    scores = concat_tables([read_table(path, "scores") for path in files.scores], "scores")
    runs = read_runs(params.jobs, files.latents)
    summary = summarize(scores, runs)
    origin = provenance(snakemake, [*files.scores, *files.latents])
    write_table(scores, output.scores, "scores", origin)
    write_table(runs, output.runs, "runs", origin)
    write_table(summary, output.summary, "summary", origin)
    write_table(read_resources(files.benchmarks), output.resources, "resources", provenance(snakemake, files.benchmarks))
    table = headline(summary, runs, params.datasets, params.models)
    write_text(output.headline, f"# {as_text(origin)}\n{as_text_table(table)}\n")
    write_text(output.page, as_html_page(table, params.title, as_text(origin)))


if __name__ == "__main__":
    run(main)
