# Needs:    results/data/{dataset}/preprocessed.h5ad, or training.h5ad if the data set is balanced.
#           A training reads values and splits. It reads conditions or labels only if its model sees
#           them; clusters and labels of another data set likewise.
# Makes:    results/runs/{dataset}/{model}/{seed}/: weights (safetensors), run.json (what rebuilds
#           the model), history.tsv.
# Promises: one job per data set, model and seed; the same seed and threads give the same bytes. If
#           a model fails, its run.json has the status "failed" and the reason, and all other jobs
#           continue. If a held-out cell reaches training, the job fails. A killed job resumes to
#           the same bytes from results/checkpoints/. That folder is no output, because Snakemake
#           removes the outputs of a failed job.


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
        told=lambda wildcards: PLAN.visible_labels(wildcards.dataset, wildcards.model)._asdict(),
        threads=CONFIG.threads,
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../../scripts/train.py"
