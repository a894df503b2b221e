# Needs:    results/data/{dataset}/counts.h5ad; if a study holds out treated cells of a type, the
#           counts are those of the data set in the table.
# Makes:    results/data/{dataset}/: preprocessed.h5ad, the cells and genes that pass quality
#           control, normalised, with their split; qc.tsv, what each step of quality control left;
#           qc_cells.tsv, the measures of each cell and why it was removed. If something needs them:
#           clusters.tsv, Louvain clusters of the training cells, and training.h5ad, training cells
#           in balanced groups.
# Promises: filters and normalisation are as configured. Held-out cells take no part in the choice
#           of genes, in scaling, in clusters.tsv or in training.h5ad, or the job fails. No label
#           takes part, unless balance names one.


rule preprocess:
    input:
        counts=lambda wildcards: f"results/data/{PLAN.table_entry(wildcards.dataset)}/counts.h5ad",
    output:
        data="results/data/{dataset}/preprocessed.h5ad",
        qc="results/data/{dataset}/qc.tsv",
        cells="results/data/{dataset}/qc_cells.tsv",
    log:
        "results/logs/preprocess/{dataset}.log",
    benchmark:
        "results/benchmarks/preprocess/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(1000, 3),
        runtime=growing(30, 0.02),
    params:
        code=code_digest("preprocess"),
        settings=lambda wildcards: PLAN.datasets[wildcards.dataset].model_dump(
            include={
                "qc",
                "normalization",
                "target_sum",
                "n_top_genes",
                "flavor",
                "scale",
                "holdout",
                "drop_unlabelled",
            }
        ),
        clusters=lambda wildcards: (
            PLAN.clusters_of(wildcards.dataset)
            if PLAN.datasets[wildcards.dataset].labels == "derived"
            else None
        ),
        threads=CONFIG.threads,
    message:
        "Preprocessing {wildcards.dataset}"
    script:
        "../../scripts/preprocess.py"


rule cluster_data:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
    output:
        "results/data/{dataset}/clusters.tsv",
    log:
        "results/logs/cluster_data/{dataset}.log",
    benchmark:
        "results/benchmarks/cluster_data/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(1000, 3),
        runtime=growing(30, 0.05),
    params:
        code=code_digest("cluster_data"),
        clusters=lambda wildcards: PLAN.clusters_of(wildcards.dataset),
        threads=CONFIG.threads,
    message:
        "Clustering {wildcards.dataset}"
    script:
        "../../scripts/cluster_data.py"


rule balance:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        clusters=lambda wildcards: (
            [f"results/data/{wildcards.dataset}/clusters.tsv"]
            if PLAN.datasets[wildcards.dataset].balance.by == "louvain"
            else []
        ),
    output:
        "results/data/{dataset}/training.h5ad",
    log:
        "results/logs/balance/{dataset}.log",
    benchmark:
        "results/benchmarks/balance/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000, 3),
        runtime=growing(30, 0.02),
    params:
        code=code_digest("balance"),
        by=lambda wildcards: PLAN.datasets[wildcards.dataset].balance.by,
        settings=lambda wildcards: PLAN.datasets[wildcards.dataset].balance.model_dump(
            exclude={"by"}
        ),
    message:
        "Balancing {wildcards.dataset}"
    script:
        "../../scripts/balance.py"
