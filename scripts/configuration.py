"""Write the effective configuration, every default filled in."""

from pathlib import Path

import yaml

from _job import provenance, run
from sclatent.atomic import replacing
from sclatent.provenance import as_text


def main(snakemake):
    text = yaml.safe_dump(snakemake.params.configuration, sort_keys=False, allow_unicode=True)
    with replacing(snakemake.output[0]) as temporary:
        Path(temporary).write_text(f"# {as_text(provenance(snakemake, []))}\n{text}")


if __name__ == "__main__":
    run(main)
