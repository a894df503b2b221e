"""Build Snakemake's report of finished results."""

import subprocess
import sys

from _job import provenance, run
from sclatent.atomic import replacing
from sclatent.provenance import as_text


def main(snakemake):
    files = snakemake.input
    with replacing(snakemake.output[0]) as temporary:
        command = [sys.executable, "-m", "snakemake", "--nolock", "--configfile", files.configuration]
        # The run that this job belongs to holds the lock of the folder, and every result of the report is finished by now.
        subprocess.run([*command, "--report", str(temporary), "--", files.configuration, *files.results], check=True)
        with open(temporary, "a") as page:
            page.write(f"<!-- {as_text(provenance(snakemake, [files.configuration, *files.results]))} -->\n")


if __name__ == "__main__":
    run(main)
