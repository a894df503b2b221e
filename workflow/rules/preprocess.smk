# Needs:    results/data/{dataset}/counts.h5ad
# Makes:    results/data/{dataset}/preprocessed.h5ad, of the kind "preprocessed": cells and genes that passed, normalised.
# Promises: filters and normalisation as configured for the data set; no label takes part.


rule preprocess:
    input:
        counts="results/data/{dataset}/counts.h5ad",
        code=code("preprocess"),
    output:
        "results/data/{dataset}/preprocessed.h5ad",
    log:
        "results/logs/preprocess/{dataset}.log",
    benchmark:
        "results/benchmarks/preprocess/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=lambda wildcards: CONFIG.datasets[wildcards.dataset].model_dump(
            include={"qc", "normalization", "target_sum", "n_top_genes"}
        ),
    message:
        "Preprocessing {wildcards.dataset}"
    script:
        "../../scripts/preprocess.py"
