"""Draw UMAP maps of every model on one data set: of the mean latent of its lowest seed that did not fail."""

import anndata as ad

from _job import provenance, run
from sclatent.determinism import make_deterministic
from sclatent.matrices import read_matrix, write_matrix
from sclatent.seeds import means_of
from sclatent.umap import umap


def main(snakemake):
    params = snakemake.params
    embedding = None
    for model, path in zip(params.models, snakemake.input.latents, strict=True):
        adata = read_matrix(path)
        embedding = ad.AnnData(obs=adata.obs) if embedding is None else embedding
        means = means_of(adata)
        if means:
            seed = min(means)
            make_deterministic(seed, params.threads)
            embedding.obsm[f"umap_{model}_seed_{seed}"] = umap(means[seed], params.n_neighbors, seed)
    write_matrix(embedding, snakemake.output[0], "umap", provenance(snakemake, snakemake.input.latents))


if __name__ == "__main__":
    run(main)
