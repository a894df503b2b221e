"""Write a data set of a study with what the best seed of every model made of its cells."""

from _job import provenance, run
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.io.tables import read_table
from sclatent.report.exports import add_model


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    adata, umap = read_matrix(files.data), read_matrix(files.umap)
    if umap.n_obs < adata.n_obs:  # the study looks at the cells held out
        adata = adata[umap.obs_names].copy()
    models = {}
    for (model, title), *paths in zip(
        params.models.items(), files.latents, files.tsne, files.clusters, strict=True
    ):
        latents, tsne, clusters = paths
        choice = add_model(
            adata,
            model,
            read_matrix(latents),
            read_matrix(tsne),
            umap,
            read_table(clusters, "clusters"),
        )
        models[model] = {"title": title, **choice}
    adata.uns["sclatent"] = {
        "study": snakemake.wildcards.study,
        "title": params.title,
        "models": models,
    }
    inputs = [files.data, files.umap, *files.latents, *files.tsne, *files.clusters]
    write_matrix(adata, snakemake.output[0], "export", provenance(snakemake, inputs))


if __name__ == "__main__":
    run(main)
