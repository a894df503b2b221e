"""Cluster the training cells of a data set by Louvain."""

import pandas as pd

from _job import provenance, run
from sclatent.clustering.of_dataset import data_clusters
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.io.matrices import in_training, read_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    params = snakemake.params
    make_deterministic(EVALUATION_SEED, params.threads)
    adata = read_matrix(snakemake.input.data)
    adata = adata[in_training(adata.obs)].copy()
    table = pd.DataFrame(
        {"cell": adata.obs_names, "cluster": data_clusters(adata, **params.clusters)}
    )
    write_table(table, snakemake.output[0], "data_clusters", provenance(snakemake))


if __name__ == "__main__":
    run(main)
