"""Map the latents of one model on one data set by t-SNE.

There is a map of the mean latent of every seed, one in three dimensions of the best seed, and, if
the study asks for it, one of a draw of the latent.
"""

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.embedding.tsne import tsne
from sclatent.io.by_seed import MAPPED, best_seed, collect_seeds, failures_of, latents_of
from sclatent.io.matrices import read_matrix, write_matrix


def main(snakemake):
    params = snakemake.params
    adata = read_matrix(snakemake.input.latents)
    best, maps = best_seed(adata), {}
    for (kind, seed), latent in latents_of(adata).items():
        wanted = [(MAPPED[kind], 2)] if kind == "mean" or params.sample else []
        if (kind, seed) == ("mean", best):
            wanted.append(("tsne_3d", 3))
        for name, n_components in wanted:
            make_deterministic(seed, params.threads)
            maps[name, seed] = tsne(
                latent, n_components, params.perplexity, params.max_iter, seed, params.threads
            )
    embedding = collect_seeds(adata.obs, maps, failures_of(adata))
    write_matrix(embedding, snakemake.output[0], "embedding", provenance(snakemake))


if __name__ == "__main__":
    run(main)
