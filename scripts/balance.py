"""Draw training cells in balanced groups."""

import pandas as pd

from _job import provenance, run
from sclatent.data.balance import balance
from sclatent.io.expression import read_values
from sclatent.io.matrices import read_obs, write_matrix
from sclatent.io.tables import read_table


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    if params.by == "louvain":
        groups = read_table(files.clusters[0], "data_clusters").set_index("cell")["cluster"]
    else:
        groups = read_obs(files.data)[params.by]
    adata = balance(read_values(files.data), pd.Series(groups), **params.settings)
    write_matrix(adata, snakemake.output[0], "training", provenance(snakemake))


if __name__ == "__main__":
    run(main)
