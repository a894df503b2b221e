"""Score the clusters of every seed of one model on one data set against the cell types."""

from _job import provenance, run
from sclatent.matrices import read_matrix
from sclatent.metrics import score_table
from sclatent.tables import read_table, write_table


def main(snakemake):
    files, wildcards = snakemake.input, snakemake.wildcards
    labels = read_matrix(files.latents).obs["cell_type"]
    table = score_table(read_table(files.clusters, "clusters"), labels)
    table.insert(0, "dataset", wildcards.dataset)
    table.insert(1, "model", wildcards.model)
    write_table(table, snakemake.output[0], "scores", provenance(snakemake, [files.clusters, files.latents]))


if __name__ == "__main__":
    run(main)
