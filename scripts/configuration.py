"""Write the effective configuration, every default filled in."""

import yaml

from _job import provenance, run
from sclatent.io.atomic import write_text
from sclatent.io.provenance import as_text


def main(snakemake):
    text = yaml.safe_dump(snakemake.params.configuration, sort_keys=False, allow_unicode=True)
    write_text(snakemake.output[0], f"# {as_text(provenance(snakemake))}\n{text}")


if __name__ == "__main__":
    run(main)
