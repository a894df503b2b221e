# Needs:    results/data/{dataset}/preprocessed.h5ad, or training.h5ad where the data set is balanced, of which it reads values and
#           splits, and conditions or labels only for a model that is told them; those of another data set, or clusters, likewise.
# Makes:    results/runs/{dataset}/{model}/{seed}/: weights (safetensors), run.json (what rebuilds the model), history.
# Promises: one job a data set, model and seed; the same seed and threads give the same bytes. A model that fails is a run
#           whose run.json has the status "failed" and the reason, so that all other jobs go on. A cell held out that
#           reaches training fails the job. A job that was killed is taken up where it was, to the same bytes, from
#           results/checkpoints/, which is no output because Snakemake removes those of a job that fails.


rule train:
    input:
        unpack(lambda wildcards: PLAN.label_files(wildcards.dataset, wildcards.model)),
        data=lambda wildcards: PLAN.training_file(wildcards.dataset),
        split="results/data/{dataset}/preprocessed.h5ad",
    output:
        weights="results/runs/{dataset}/{model}/{seed}/weights.safetensors",
        run="results/runs/{dataset}/{model}/{seed}/run.json",
        history="results/runs/{dataset}/{model}/{seed}/history.tsv",
    log:
        "results/logs/train/{dataset}/{model}/{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{model}/{seed}.tsv"
    conda:
        f"../../envs/{TORCH}.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=growing(2000, 3),
        runtime=growing(60, 0.1),
        gpu=GPUS,
    params:
        code=code_with_family("train"),
        settings=lambda wildcards: PLAN.settings_of_training(wildcards.model),
        told=lambda wildcards: vars(PLAN.labels_seen(wildcards.dataset, wildcards.model)),
        threads=CONFIG.threads,
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../../scripts/train.py"
