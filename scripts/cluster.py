"""Cluster the latents of every seed of one model on one data set.

If there are t-SNE maps, these are clustered, too, as in the PBMC3k report.
"""

from _job import provenance, run
from sclatent.clustering.methods import cluster_seeds
from sclatent.config.studies import Clustering
from sclatent.io.by_seed import arrays_of
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    latents = read_matrix(files.latents)
    arrays, inputs = arrays_of(latents), [files.latents]
    if files.tsne:
        arrays |= arrays_of(read_matrix(files.tsne))
        inputs.append(files.tsne)
    settings = Clustering(
        n_init=params.n_init, n_neighbors=params.n_neighbors, resolution=params.resolution
    )
    table = cluster_seeds(
        latents.obs["cell_type"], arrays, settings, params.n_components, params.threads
    )
    write_table(table, snakemake.output[0], "clusters", provenance(snakemake))


if __name__ == "__main__":
    run(main)
