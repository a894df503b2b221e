"""Write the first page of the report from the results of every study of the run."""

import html
from pathlib import Path

from _job import provenance, run
from sclatent.io.atomic import write_text
from sclatent.io.provenance import as_text
from sclatent.io.tables import read_table
from sclatent.report import first_page as overview


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    kinds = ("studies", "datasets", "sources", "models")
    titles = {
        kind: {name: entry["title"] for name, entry in params[kind].items()} for kind in kinds
    }
    runs = overview.all_runs([read_table(path, "runs") for path in files.runs])
    failures = overview.failures_table(runs, titles["datasets"], titles["models"])
    absent = {
        name: read_table(path, "absent")
        for name, path in zip(params.studies, files.absent, strict=True)
    }
    absences = overview.absences_table(absent, titles["studies"])
    results = [
        *files.counts,
        *files.data,
        *files.records,
        *files.scores,
        *files.runs,
        *files.absent,
    ]
    origins = [overview.provenance_of(path) for path in results]
    headlines = []
    for study, page in zip(params.studies.values(), files.headlines, strict=True):
        headlines.append(f"<h3>{html.escape(study['title'])}</h3>")
        headlines += [
            f"<p>Seeds: {study['n_seeds']}</p>",
            *overview.tables_of_page(Path(page).read_text()),
        ]
    sections = {
        "Headline": headlines,
        "What failed": [
            f"<p>{len(failures)} of {len(runs)} trainings failed.</p>",
            *([failures] if len(failures) else []),
        ],
        "Data": [
            overview.data_table(
                dict(zip(params.datasets, files.data, strict=True)), params.datasets
            ),
            overview.files_table(
                dict(zip(params.sources, files.counts, strict=True)), titles["sources"]
            ),
        ],
        "Models": [overview.models_table(params.models, files.records, runs)],
        "What does not apply": [absences if len(absences) else "<p>Every measurement applies.</p>"],
        "Time and memory": [
            f"<p>This page was written on {html.escape(overview.machine_text(origins))}.</p>",
            overview.costs_table(files.benchmarks),
        ],
        "Software": [overview.versions_table(origins)],
        "Run it again": [
            "<p>With the file under Configuration, in a folder of the project of the same version:</p>",
            "<pre>snakemake --configfile configuration.yaml</pre>",
        ],
    }
    origin = provenance(snakemake, [*results, *files.headlines, *files.benchmarks])
    write_text(
        snakemake.output[0],
        overview.as_rst(sections, Path(files.introduction).read_text(), as_text(origin)),
    )


if __name__ == "__main__":
    run(main)
