"""Read the file of a data set into counts and labels."""

from _job import provenance, run
from sclatent.ingest import READERS
from sclatent.matrices import write_matrix


def main(snakemake):
    source = snakemake.input.source
    adata = READERS[snakemake.params.reader](source)
    write_matrix(adata, snakemake.output[0], "counts", provenance(snakemake, [source]))


if __name__ == "__main__":
    run(main)
