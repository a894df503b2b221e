# Needs:    results/data/{dataset}/preprocessed.h5ad, the trained runs of a model on it, and their
#           latents.
# Makes:    results/studies/{study}/{dataset}/{model}/: generation.tsv, of the kind "generation",
#           how like real cells the drawn ones are; generation_absent.tsv, what does not apply and
#           why; drawn.h5ad, of the kind "drawn", the cells of the seed with the lowest loss.
# Promises: drawn and real cells have the same units, or generation_absent.tsv says why not. Each
#           component and condition has equally many drawn cells. Labels only name the components,
#           by training cells, or by held-out cells if the study looks at no others.


rule generate:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        latents="results/studies/{study}/{dataset}/{model}/latents.h5ad",
        weights=over_seeds("results/runs/{dataset}/{model}/{seed}/weights.safetensors"),
        runs=over_seeds("results/runs/{dataset}/{model}/{seed}/run.json"),
    output:
        scores="results/studies/{study}/{dataset}/{model}/generation.tsv",
        absent="results/studies/{study}/{dataset}/{model}/generation_absent.tsv",
        drawn="results/studies/{study}/{dataset}/{model}/drawn.h5ad",
    log:
        "results/logs/generate/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/generate/{study}/{dataset}/{model}.tsv"
    conda:
        f"../../envs/{TORCH}.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 4),
        runtime=growing(30, 0.02),
        gpu=GPUS,
    params:
        code=code_with_family("generate"),
        seeds=of_study(lambda study: study.seeds),
        condition=lambda wildcards: PLAN.visible_labels(
            wildcards.dataset, wildcards.model
        ).condition,
        incomparable=lambda wildcards: PLAN.incomparable(wildcards.dataset, wildcards.model),
        threads=CONFIG.threads,
    message:
        "Drawing cells of {wildcards.dataset} from {wildcards.model}"
    script:
        "../../scripts/generate.py"
