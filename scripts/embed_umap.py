"""Draw UMAP maps of every model on one data set: of the latents of its best seed."""

import anndata as ad

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.embedding.umap_map import umap
from sclatent.io.by_seed import arrays_of, best_seed, umap_key
from sclatent.io.matrices import read_matrix, write_matrix


def main(snakemake):
    params = snakemake.params
    embedding = None
    for model, path in zip(params.models, snakemake.input.latents, strict=True):
        adata = read_matrix(path)
        embedding = ad.AnnData(obs=adata.obs) if embedding is None else embedding
        seed, latents = best_seed(adata), arrays_of(adata)
        for part in ("mean", "sample", "w_mean", "w_sample"):
            latent = latents.get((part, seed))
            if latent is None or (
                part != "mean" and latent.shape[1] in (0, 2)
            ):  # two dimensions are drawn as they are
                continue
            make_deterministic(seed, params.threads)
            embedding.obsm[umap_key(model, seed, part)] = umap(latent, params.n_neighbors, seed)
    write_matrix(embedding, snakemake.output[0], "umap", provenance(snakemake))


if __name__ == "__main__":
    run(main)
