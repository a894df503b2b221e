"""Write the tables of a study as Parquet."""

from _job import provenance, run
from sclatent.io.tables import read_table
from sclatent.report.exports import write_parquet


def main(snakemake):
    for kind, source, path in zip(
        snakemake.params.kinds, snakemake.input.tables, snakemake.output, strict=True
    ):
        write_parquet(read_table(source, kind), path, kind, provenance(snakemake, [source]))


if __name__ == "__main__":
    run(main)
