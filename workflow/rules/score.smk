# Needs:    clusters.tsv of a model on a data set, and the labels in latents.h5ad
# Makes:    results/studies/{study}/{dataset}/{model}/scores.tsv, of the kind "scores": one metric of one clustering a row.
# Promises: every metric is finite; a seed that failed has no row here and one in runs.tsv.


rule score:
    input:
        clusters="results/studies/{study}/{dataset}/{model}/clusters.tsv",
        latents="results/studies/{study}/{dataset}/{model}/latents.h5ad",
        code=code("score"),
    output:
        "results/studies/{study}/{dataset}/{model}/scores.tsv",
    message:
        "Scoring {wildcards.model} on {wildcards.dataset}"
    log:
        "results/logs/score/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/score/{study}/{dataset}/{model}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/evaluation.yaml"
    script:
        "../../scripts/score.py"
