# Needs:    results/studies/{study}/{dataset}/{model}/: latents.h5ad and drawn.h5ad;
#           results/data/{dataset}/preprocessed.h5ad.
# Makes:    results/studies/{study}/{dataset}/{model}/tsne.h5ad, of the kind "embedding";
#           results/studies/{study}/{dataset}/: umap.h5ad, of the kind "umap", and drawn_map.h5ad,
#           of the kind "drawn_map".
# Promises: maps of the mean latents: 2-D t-SNE of every seed, 3-D t-SNE and UMAP of the seed with
#           the lowest loss; 2-D t-SNE of one draw of each latent if the study asks for it; UMAP of
#           drawn cells among real ones. No score uses a map, except the protocol of the PBMC3k
#           report. UMAP runs once per data set, because it is compiled in every process.


rule embed_tsne:
    input:
        latents="results/studies/{study}/{dataset}/{model}/latents.h5ad",
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
        code=code_digest("embed_tsne"),
        perplexity=of_study(lambda study: study.embedding.perplexity),
        max_iter=of_study(lambda study: study.embedding.max_iter),
        sample=of_study(lambda study: study.embedding.sample),
        threads=CONFIG.threads,
    message:
        "Drawing t-SNE maps of {wildcards.model} on {wildcards.dataset}"
    script:
        "../../scripts/embed_tsne.py"


rule embed_umap:
    input:
        latents=over_models("results/studies/{study}/{dataset}/{model}/latents.h5ad"),
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
        code=code_digest("embed_umap"),
        models=of_study(lambda study: study.models),
        n_neighbors=of_study(lambda study: study.embedding.n_neighbors),
        threads=CONFIG.threads,
    message:
        "Drawing UMAP maps of {wildcards.dataset}"
    script:
        "../../scripts/embed_umap.py"


rule embed_drawn:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        drawn=lambda wildcards: expand(
            "results/studies/{study}/{dataset}/{model}/drawn.h5ad",
            **wildcards,
            model=PLAN.drawing_models(wildcards.study),
        ),
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
        code=code_digest("embed_drawn"),
        models=lambda wildcards: PLAN.generative_models(wildcards.study),
        n_neighbors=of_study(lambda study: study.embedding.n_neighbors),
        threads=CONFIG.threads,
    message:
        "Drawing UMAP maps of drawn cells of {wildcards.dataset}"
    script:
        "../../scripts/embed_drawn.py"
