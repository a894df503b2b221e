"""Draw a figure by running a notebook."""

import shutil
from pathlib import Path

import matplotlib  # noqa: F401 - the notebook draws with these in a process of its own; loaded here, their versions are recorded
import plotly  # noqa: F401

from _job import provenance, run
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.pipeline.notebooks import execute, fill


def main(snakemake):
    files, log, params = snakemake.input, snakemake.log, snakemake.params
    data = [
        path
        for name, paths in files.items()
        if name not in ("code", "template")
        for path in ([paths] if isinstance(paths, str) else paths)
    ]
    fill(
        files.template,
        log.notebook,
        snakemake.wildcards.figure,
        params.title,
        params.question,
        params.parameters,
    )
    parameters = {
        **params.parameters,
        "figure": str(snakemake.output.figure),
        "provenance": as_text(provenance(snakemake, [files.template, *data])),
    }
    execute(log.notebook, log.notebook, parameters, library=Path(__file__).parent)
    with replacing(snakemake.output.notebook) as kept:
        shutil.copyfile(log.notebook, kept)


if __name__ == "__main__":
    run(main)
