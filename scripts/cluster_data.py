"""Cluster the training cells of a data set by Louvain."""

import pandas as pd

from _job import provenance, run
from sclatent.clustering.of_dataset import data_clusters
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.data.preprocess import in_training
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    data, params = snakemake.input.data, snakemake.params
    make_deterministic(EVALUATION_SEED, params.threads)
    adata = read_matrix(data)
    adata = adata[in_training(adata)].copy()
    table = pd.DataFrame(
        {"cell": adata.obs_names, "cluster": data_clusters(adata, **params.clusters)}
    )
    write_table(table, snakemake.output[0], "data_clusters", provenance(snakemake, [data]))


if __name__ == "__main__":
    run(main)
