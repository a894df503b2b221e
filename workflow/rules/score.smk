# Needs:    latents.h5ad and clusters.tsv of every model on a data set, and the labels in
#           results/data/{dataset}/preprocessed.h5ad.
# Makes:    results/studies/{study}/{dataset}/: scores.tsv, of the kind "scores", a row per metric
#           of a clustering or latent, with floor, chance and ceiling; absent.tsv, what does not
#           apply and why.
# Promises: every metric is finite. A failed seed has no row here, but one in runs.tsv.


rule score:
    input:
        latents=over_models("results/studies/{study}/{dataset}/{model}/latents.h5ad", floors=True),
        clusters=over_models("results/studies/{study}/{dataset}/{model}/clusters.tsv", floors=True),
        data="results/data/{dataset}/preprocessed.h5ad",
    output:
        scores="results/studies/{study}/{dataset}/scores.tsv",
        absent="results/studies/{study}/{dataset}/absent.tsv",
    log:
        "results/logs/score/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/score/{study}/{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(60, 0.1),
    params:
        code=code_digest("score"),
        models=lambda wildcards: PLAN.models_and_floors(wildcards.study),
        floors=lambda wildcards: PLAN.floors[wildcards.study],
        n_components=lambda wildcards: PLAN.components_of(wildcards.study),
    message:
        "Scoring {wildcards.dataset}"
    script:
        "../../scripts/score.py"
