"""Map the latents of the best seed of every model on one data set by UMAP."""

import anndata as ad

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.embedding.umap_map import umap
from sclatent.io.by_seed import arrays_of, best_seed, umap_key
from sclatent.io.matrices import read_matrix, read_obs, write_matrix


def main(snakemake):
    files, params = snakemake.input.latents, snakemake.params
    embedding = ad.AnnData(obs=read_obs(files[0]))
    for model, path in zip(params.models, files, strict=True):
        adata = read_matrix(path)
        seed, latents = best_seed(adata), arrays_of(adata)
        if seed is None:
            continue
        for part in ("mean", "sample", "w_mean", "w_sample"):
            latent = latents.get((part, seed))
            # A second latent of two dimensions is drawn as it is, without a map.
            if latent is None or (part != "mean" and latent.shape[1] in (0, 2)):
                continue
            make_deterministic(seed, params.threads)
            embedding.obsm[umap_key(model, seed, part)] = umap(latent, params.n_neighbors, seed)
    write_matrix(embedding, snakemake.output[0], "umap", provenance(snakemake))


if __name__ == "__main__":
    run(main)
