# Needs:    latents.h5ad of a model on a data set, and tsne.h5ad if the model is no floor.
# Makes:    results/studies/{study}/{dataset}/{model}/clusters.tsv, of the kind "clusters".
# Promises: k-means with as many clusters as cell types, Louvain and Leiden on every latent; the
#           components of mixtures, and on their floors k-means with as many clusters; k-means on
#           2-D t-SNE maps, the protocol of the PBMC3k report. Of the labels, only their number is
#           used. The methods named oracle are the exception: labels choose their resolution.


rule cluster:
    input:
        latents="results/studies/{study}/{dataset}/{model}/latents.h5ad",
        tsne=lambda wildcards: (
            "results/studies/{study}/{dataset}/{model}/tsne.h5ad"
            if wildcards.model in CONFIG.models
            else []
        ),
    output:
        "results/studies/{study}/{dataset}/{model}/clusters.tsv",
    log:
        "results/logs/cluster/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/cluster/{study}/{dataset}/{model}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(30, 0.5),
    params:
        code=code_digest("cluster"),
        n_components=lambda wildcards: PLAN.components_above(wildcards.study, wildcards.model),
        n_init=of_study(lambda study: study.clustering.n_init),
        n_neighbors=of_study(lambda study: study.clustering.n_neighbors),
        resolution=of_study(lambda study: study.clustering.resolution),
        threads=CONFIG.threads,
    message:
        "Clustering {wildcards.dataset} in the latents of {wildcards.model}"
    script:
        "../../scripts/cluster.py"
