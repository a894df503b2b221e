"""Cluster the latents of every seed of one model on one data set, and its t-SNE maps as the PBMC3k report does."""

from _job import provenance, run
from sclatent.clustering import cluster_seeds
from sclatent.matrices import read_matrix
from sclatent.seeds import arrays_of, latents_of
from sclatent.tables import write_table


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    adata = read_matrix(files.latents)
    table = cluster_seeds(
        adata.obs_names,
        latents=latents_of(adata),
        maps=arrays_of(read_matrix(files.tsne)),
        n_clusters=adata.obs["cell_type"].nunique(),
        n_init=params.n_init,
        n_neighbors=params.n_neighbors,
        resolution=params.resolution,
        threads=params.threads,
    )
    write_table(table, snakemake.output[0], "clusters", provenance(snakemake, [files.latents, files.tsne]))


if __name__ == "__main__":
    run(main)
