"""Build Snakemake's report of finished results."""

import subprocess
import sys
from pathlib import Path

from _job import provenance, run
from sclatent.io.atomic import replacing
from sclatent.io.provenance import as_text
from sclatent.pipeline.report_page import without_markup


def main(snakemake):
    files = snakemake.input
    with replacing(snakemake.output[0]) as temporary:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--nolock",
            # The run may have begun elsewhere, or in another workflow that uses this one.
            "--snakefile",
            str(Path(snakemake.scriptdir).parent / "Snakefile"),
            "--configfile",
            files.configuration,
        ]
        command += ["--report", str(temporary), "--report-stylesheet", files.stylesheet]
        # The run of this job holds the lock of the folder. Every result of the report is finished.
        subprocess.run([*command, "--", files.configuration, *files.results], check=True)
        # Captions, style sheet and script come with the code and are no data.
        data = [files.configuration, files.overview, *files.results]
        origin = as_text(provenance(snakemake, data))
        page = without_markup(temporary.read_text())
        temporary.write_text(
            f"{page}<script>{Path(files.script).read_text()}</script>\n<!-- {origin} -->\n"
        )


if __name__ == "__main__":
    run(main)
