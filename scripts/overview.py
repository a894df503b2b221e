"""Write the first page of the report from the results of every study of the run."""

from pathlib import Path

from _job import provenance, run
from sclatent.io.atomic import write_text
from sclatent.io.provenance import as_text
from sclatent.io.tables import read_table
from sclatent.report import first_page
from sclatent.report.benchmarks import costs_table
from sclatent.report.headline import HEADLINES, headlines_of
from sclatent.report.runs import all_runs


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    results = [
        *files.counts,
        *files.data,
        *files.records,
        *files.scores,
        *files.runs,
        *files.absent,
        *(path for headline in HEADLINES for path in files[headline.kind]),
    ]
    runs = all_runs([read_table(path, "runs") for path in files.runs])
    contents = first_page.Contents(
        studies=[read_study(name, files, params, i) for i, name in enumerate(params.studies)],
        runs=runs,
        failures=first_page.failures_table(
            runs, titles_of(params.datasets), titles_of(params.models)
        ),
        data=first_page.data_table(
            dict(zip(params.datasets, files.data, strict=True)), params.datasets
        ),
        files=first_page.files_table(
            dict(zip(params.sources, files.counts, strict=True)), titles_of(params.sources)
        ),
        models=first_page.models_table(
            params.models, dict(zip(params.trained, files.records, strict=True)), runs
        ),
        costs=costs_table(params.rules, files.benchmarks),
        origins=[first_page.provenance_of(path) for path in results],
    )
    origin = as_text(provenance(snakemake, [*results, *files.benchmarks]))
    introduction = Path(files.introduction).read_text()
    write_text(snakemake.output[0], first_page.page(contents, introduction, origin))


def read_study(name, files, params, i):
    """Read the tables of the i-th study."""
    study = params.studies[name]
    summaries = {
        headline.kind: read_table(files[headline.kind][i], headline.kind) for headline in HEADLINES
    }
    return first_page.Study(
        name=name,
        title=study["title"],
        n_seeds=study["n_seeds"],
        headlines=headlines_of(summaries, study["datasets"], study["models"]),
        absent=read_table(files.absent[i], "absent"),
    )


def titles_of(entries):
    return {name: entry["title"] for name, entry in entries.items()}


if __name__ == "__main__":
    run(main)
