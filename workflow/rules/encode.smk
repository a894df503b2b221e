# Needs:    the trained runs of a model on a data set, one a seed of the study, and results/data/{dataset}/preprocessed.h5ad
# Makes:    results/studies/{study}/{dataset}/{model}/latents.h5ad, of the kind "latents": mean and sample of every seed,
#           of all cells or of those held out.
# Promises: latents are finite; a seed that failed is named with its reason and has none.


rule encode:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        trained_on=training_data,
        weights=over_study("results/runs/{dataset}/{model}/{seed}/weights.safetensors"),
        runs=over_study("results/runs/{dataset}/{model}/{seed}/run.json"),
        code=code_with_family("encode"),
    output:
        "results/studies/{study}/{dataset}/{model}/latents.h5ad",
    log:
        "results/logs/encode/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/encode/{study}/{dataset}/{model}.tsv"
    conda:
        f"../../envs/{TORCH}.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 3),
        runtime=growing(20, 0.02),
        gpu=GPUS,
    params:
        seeds=lambda wildcards: CONFIG.studies[wildcards.study].seeds,
        condition=lambda wildcards: told_to_model(wildcards)["condition"],
        cells=lambda wildcards: CONFIG.studies[wildcards.study].cells,
        threads=CONFIG.threads,
    message:
        "Encoding {wildcards.dataset} with {wildcards.model}"
    script:
        "../../scripts/encode.py"
