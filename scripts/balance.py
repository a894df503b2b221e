"""Draw training cells in balanced groups."""

from _job import provenance, run
from sclatent.balance import balance
from sclatent.matrices import read_obs, write_matrix
from sclatent.tables import read_table
from sclatent.values import read_values


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    inputs = [files.data]
    if params.by == "louvain":
        inputs += files.clusters
        groups = read_table(files.clusters[0], "data_clusters").set_index("cell")["cluster"]
    else:
        groups = read_obs(files.data)[params.by]
    adata = balance(read_values(files.data), groups, **params.settings)
    write_matrix(adata, snakemake.output[0], "training", provenance(snakemake, inputs))


if __name__ == "__main__":
    run(main)
