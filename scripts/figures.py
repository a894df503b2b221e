"""Draw a figure by running a notebook."""

import shutil
from pathlib import Path

from _job import provenance, run
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.pipeline.notebooks import execute, fill


def main(snakemake):
    files, log, params = snakemake.input, snakemake.log, snakemake.params
    scripts = Path(__file__).parent
    module = scripts / "sclatent" / "figures" / f"{snakemake.wildcards.figure}.py"
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
        "provenance": as_text(provenance(snakemake, loaded=[module])),
    }
    execute(log.notebook, log.notebook, parameters, library=scripts)
    with replacing(snakemake.output.notebook) as kept:
        shutil.copyfile(log.notebook, kept)


if __name__ == "__main__":
    run(main)
