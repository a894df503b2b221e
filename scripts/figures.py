"""Draw a figure by running its notebook."""

import shutil
from pathlib import Path

import matplotlib  # noqa: F401 - the notebook draws with these in a process of its own; loaded here, their versions are recorded
import plotly  # noqa: F401

from _job import provenance, run
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.pipeline.notebooks import execute


def main(snakemake):
    files, log = snakemake.input, snakemake.log
    data = [
        path
        for name, paths in files.items()
        if name not in ("code", "template")
        for path in _as_list(paths)
    ]
    origin = as_text(provenance(snakemake, [files.template, *data]))
    parameters = {
        **snakemake.params.parameters,
        "figure": str(snakemake.output.figure),
        "provenance": origin,
    }
    execute(files.template, log.notebook, parameters, library=Path(__file__).parent)
    with replacing(snakemake.output.notebook) as notebook:
        shutil.copyfile(log.notebook, notebook)


def _as_list(paths):
    return [paths] if isinstance(paths, str) else paths


if __name__ == "__main__":
    run(main)
