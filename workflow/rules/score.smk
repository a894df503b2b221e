# Needs:    clusters.tsv of every model on a data set, and the labels in results/data/{dataset}/preprocessed.h5ad
# Makes:    results/studies/{study}/{dataset}/scores.tsv, of the kind "scores": one metric of one clustering a row.
# Promises: every metric is finite; a seed that failed has no row here and one in runs.tsv.


rule score:
    input:
        clusters=over_study("results/studies/{study}/{dataset}/{model}/clusters.tsv"),
        data="results/data/{dataset}/preprocessed.h5ad",
        code=code("score"),
    output:
        "results/studies/{study}/{dataset}/scores.tsv",
    log:
        "results/logs/score/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/score/{study}/{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=lambda wildcards: CONFIG.studies[wildcards.study].models,
    message:
        "Scoring {wildcards.dataset}"
    script:
        "../../scripts/score.py"
