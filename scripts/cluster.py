"""Cluster the latents of every seed of one model on one data set, and its t-SNE maps, if any, as the PBMC3k report does."""

from _job import provenance, run
from sclatent.clustering.methods import cluster_seeds
from sclatent.io.by_seed import arrays_of, latents_of
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    adata = read_matrix(files.latents)
    shares = {
        seed: array
        for (name, seed), array in arrays_of(adata).items()
        if name == "responsibilities"
    }
    table = cluster_seeds(
        adata.obs_names,
        adata.obs["cell_type"].to_numpy(),
        latents=latents_of(adata),
        responsibilities=shares,
        maps=arrays_of(read_matrix(files.tsne)) if files.tsne else {},
        n_components=params.n_components,
        n_init=params.n_init,
        n_neighbors=params.n_neighbors,
        resolution=params.resolution,
        threads=params.threads,
    )
    write_table(table, snakemake.output[0], "clusters", provenance(snakemake))


if __name__ == "__main__":
    run(main)
