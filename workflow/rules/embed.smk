# Needs:    results/studies/{study}/{dataset}/{model}/: latents.h5ad, drawn.h5ad; results/data/{dataset}/preprocessed.h5ad
# Makes:    results/studies/{study}/{dataset}/{model}/tsne.h5ad, of the kind "embedding", and in
#           results/studies/{study}/{dataset}/: umap.h5ad, of the kind "umap"; drawn_map.h5ad, of the kind "drawn_map".
# Promises: maps of the mean latents: 2-D t-SNE of every seed, 3-D t-SNE and UMAP of the one with the lowest loss; 2-D t-SNE of one
#           draw of each latent where the study asks for it. UMAP of the cells that a model draws among real ones. No score
#           rests on a map but the protocol of the PBMC3k report. UMAP runs once a data set because it is compiled anew in
#           every process.


rule embed_tsne:
    input:
        latents="results/studies/{study}/{dataset}/{model}/latents.h5ad",
        code=code("embed_tsne"),
    output:
        "results/studies/{study}/{dataset}/{model}/tsne.h5ad",
    log:
        "results/logs/embed_tsne/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/embed_tsne/{study}/{dataset}/{model}.tsv"
    priority: 1
    conda:
        "../../envs/evaluation.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(60, 1),
    params:
        perplexity=lambda wildcards: CONFIG.studies[wildcards.study].embedding.perplexity,
        max_iter=lambda wildcards: CONFIG.studies[wildcards.study].embedding.max_iter,
        sample=lambda wildcards: CONFIG.studies[wildcards.study].embedding.sample,
        threads=CONFIG.threads,
    message:
        "Drawing t-SNE maps of {wildcards.model} on {wildcards.dataset}"
    script:
        "../../scripts/embed_tsne.py"


rule embed_umap:
    input:
        latents=over_study("results/studies/{study}/{dataset}/{model}/latents.h5ad"),
        code=code("embed_umap"),
    output:
        "results/studies/{study}/{dataset}/umap.h5ad",
    log:
        "results/logs/embed_umap/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/embed_umap/{study}/{dataset}.tsv"
    priority: 1
    conda:
        "../../envs/evaluation.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 10),
        runtime=growing(60, 1),
    params:
        models=lambda wildcards: CONFIG.studies[wildcards.study].models,
        n_neighbors=lambda wildcards: CONFIG.studies[wildcards.study].embedding.n_neighbors,
        threads=CONFIG.threads,
    message:
        "Drawing UMAP maps of {wildcards.dataset}"
    script:
        "../../scripts/embed_umap.py"


rule embed_drawn:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        drawn=over_generation("results/studies/{study}/{dataset}/{model}/drawn.h5ad"),
        code=code("embed_drawn"),
    output:
        "results/studies/{study}/{dataset}/drawn_map.h5ad",
    log:
        "results/logs/embed_drawn/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/embed_drawn/{study}/{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 4),
        runtime=growing(60, 0.1),
    params:
        models=lambda wildcards: generative_models(wildcards.study),
        n_neighbors=lambda wildcards: CONFIG.studies[wildcards.study].embedding.n_neighbors,
        threads=CONFIG.threads,
    message:
        "Drawing UMAP maps of drawn cells of {wildcards.dataset}"
    script:
        "../../scripts/embed_drawn.py"
