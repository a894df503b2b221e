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
    message:
        "Scoring {wildcards.dataset}"
    log:
        "results/logs/score/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/score/{study}/{dataset}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=lambda wildcards: CONFIG.studies[wildcards.study].models,
    conda:
        "../../envs/evaluation.yaml"
    script:
        "../../scripts/score.py"
