"""Draw t-SNE maps of one model on one data set: of the mean latent of every seed, and in 3-D of the best."""

from _job import provenance, run
from sclatent.determinism import make_deterministic
from sclatent.matrices import read_matrix, write_matrix
from sclatent.seeds import best_seed, collect_seeds, failures_of, means_of
from sclatent.tsne import tsne


def main(snakemake):
    latents, params = snakemake.input.latents, snakemake.params
    adata = read_matrix(latents)
    best, maps = best_seed(adata), {}
    for seed, latent in means_of(adata).items():
        for n_components in [2, 3] if seed == best else [2]:
            make_deterministic(seed, params.threads)
            maps[f"tsne_{n_components}d", seed] = tsne(
                latent, n_components, params.perplexity, params.max_iter, seed, params.threads
            )
    embedding = collect_seeds(adata.obs, maps, failures_of(adata))
    write_matrix(embedding, snakemake.output[0], "embedding", provenance(snakemake, [latents]))


if __name__ == "__main__":
    run(main)
