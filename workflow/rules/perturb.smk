# Needs:    results/data/{dataset}/preprocessed.h5ad of a data set with a control, and the trained
#           runs of a model on it. To predict held-out cells, the data set is one without the
#           treated cells of a type.
# Makes:    results/data/{dataset}/: markers.tsv, the genes that rise most; baselines.tsv, of the
#           kind "perturbation", scores of predictors without a model, with floor and ceiling;
#           responses.tsv, their prediction for each gene, beside real cells.
#           results/studies/{study}/{dataset}/{model}/: perturbation.tsv, of the same kind, for all
#           seeds of a model; responses.tsv, for the lowest seed that did not fail. Beside each, a
#           table of the kind "absent".
# Promises: predictors see control cells of the type, and training cells. Held-out treated cells are
#           only compared with. Genes are ranked once per data set, on real cells.


rule perturb_data:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
    output:
        markers="results/data/{dataset}/markers.tsv",
        scores="results/data/{dataset}/baselines.tsv",
        responses="results/data/{dataset}/responses.tsv",
        absent="results/data/{dataset}/baselines_absent.tsv",
    log:
        "results/logs/perturb_data/{dataset}.log",
    benchmark:
        "results/benchmarks/perturb_data/{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 4),
        runtime=growing(60, 0.02),
    params:
        code=code_digest("perturb_data"),
        dataset=lambda wildcards: PLAN.table_entry(wildcards.dataset),
        held_out=lambda wildcards: wildcards.dataset not in CONFIG.datasets,
        threads=CONFIG.threads,
    message:
        "Predicting treated cells of {wildcards.dataset} without a model"
    script:
        "../../scripts/perturb_data.py"


rule perturb:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        markers="results/data/{dataset}/markers.tsv",
        baselines="results/data/{dataset}/baselines.tsv",
        weights=over_seeds("results/runs/{dataset}/{model}/{seed}/weights.safetensors"),
        runs=over_seeds("results/runs/{dataset}/{model}/{seed}/run.json"),
    output:
        scores="results/studies/{study}/{dataset}/{model}/perturbation.tsv",
        responses="results/studies/{study}/{dataset}/{model}/responses.tsv",
        absent="results/studies/{study}/{dataset}/{model}/perturbation_absent.tsv",
    log:
        "results/logs/perturb/{study}/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/perturb/{study}/{dataset}/{model}.tsv"
    conda:
        f"../../envs/{TORCH}.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 4),
        runtime=growing(60, 0.02),
        gpu=GPUS,
    params:
        code=code_with_family("perturb"),
        dataset=lambda wildcards: PLAN.table_entry(wildcards.dataset),
        held_out=lambda wildcards: wildcards.dataset not in CONFIG.datasets,
        seeds=of_study(lambda study: study.seeds),
        condition=lambda wildcards: PLAN.visible_labels(
            wildcards.dataset, wildcards.model
        ).condition,
        threads=CONFIG.threads,
    message:
        "Predicting treated cells of {wildcards.dataset} with {wildcards.model}"
    script:
        "../../scripts/perturb.py"
