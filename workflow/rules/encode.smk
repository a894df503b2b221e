# Needs:    the trained runs of a model on a data set, one per seed of the study;
#           results/data/{dataset}/preprocessed.h5ad.
# Makes:    results/studies/{study}/{dataset}/{model}/latents.h5ad, of the kind "latents": mean and
#           sample for every seed, of all cells or of the held-out ones.
# Promises: latents are finite. A failed seed has no latent, and its reason stands in the file.


rule encode:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        trained_on=lambda wildcards: PLAN.training_file(wildcards.dataset),
        weights=over_seeds("results/runs/{dataset}/{model}/{seed}/weights.safetensors"),
        runs=over_seeds("results/runs/{dataset}/{model}/{seed}/run.json"),
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
        code=code_with_family("encode"),
        seeds=of_study(lambda study: study.seeds),
        condition=lambda wildcards: PLAN.visible_labels(
            wildcards.dataset, wildcards.model
        ).condition,
        cells=of_study(lambda study: study.cells),
        threads=CONFIG.threads,
    message:
        "Encoding {wildcards.dataset} with {wildcards.model}"
    script:
        "../../scripts/encode.py"
