"""Draw a figure by running its notebook."""

import shutil
from pathlib import Path

from _job import provenance, run
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.pipeline.notebooks import execute


def main(snakemake):
    files, log = snakemake.input, snakemake.log
    origin = as_text(provenance(snakemake))
    parameters = {
        **snakemake.params.parameters,
        "figure": str(snakemake.output.figure),
        "provenance": origin,
    }
    execute(files.template, log.notebook, parameters, library=Path(__file__).parent)
    with replacing(snakemake.output.notebook) as notebook:
        shutil.copyfile(log.notebook, notebook)


if __name__ == "__main__":
    run(main)
