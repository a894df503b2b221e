"""Filter cells and genes, normalise, choose genes."""

from _job import provenance, run
from sclatent.matrices import read_matrix, write_matrix
from sclatent.preprocess import preprocess


def main(snakemake):
    counts = snakemake.input.counts
    adata = preprocess(read_matrix(counts), **snakemake.params.settings)
    write_matrix(adata, snakemake.output[0], "preprocessed", provenance(snakemake, [counts]))


if __name__ == "__main__":
    run(main)
