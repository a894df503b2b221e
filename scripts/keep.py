"""Keep the rows of a table that the paper can show."""

from _job import run
from sclatent.io.tables import read_provenance, read_table, write_table
from sclatent.report.paper import shown_rows


def main(snakemake):
    source, kind = snakemake.input.table, snakemake.wildcards.table
    write_table(
        shown_rows(read_table(source, kind)), snakemake.output[0], kind, read_provenance(source)
    )


if __name__ == "__main__":
    run(main)
