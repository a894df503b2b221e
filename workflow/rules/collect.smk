# Needs:    scores.tsv, latents.h5ad and the benchmarks of every data set, model and seed of a study
# Makes:    results/studies/{study}/: scores.tsv (all runs), runs.tsv (what was trained, what failed and why), summary.tsv (mean,
#           sd and failed share over seeds), resources.tsv (seconds and memory), headline.txt and headline.html.
# Promises: one row in runs.tsv for every seed asked for; scores and summary are byte-identical between equal runs.


rule collect:
    input:
        scores=over_study("results/studies/{study}/{dataset}/scores.tsv"),
        latents=over_study("results/studies/{study}/{dataset}/{model}/latents.h5ad"),
        benchmarks=over_study(
            "results/benchmarks/train/{dataset}/{model}/{seed}.tsv",
            "results/benchmarks/encode/{study}/{dataset}/{model}.tsv",
            "results/benchmarks/embed_tsne/{study}/{dataset}/{model}.tsv",
            "results/benchmarks/embed_umap/{study}/{dataset}.tsv",
            "results/benchmarks/cluster/{study}/{dataset}/{model}.tsv",
            "results/benchmarks/score/{study}/{dataset}.tsv",
        ),
        code=code("collect"),
    output:
        scores="results/studies/{study}/scores.tsv",
        runs="results/studies/{study}/runs.tsv",
        summary=report(
            "results/studies/{study}/summary.tsv",
            category="Tables",
            subcategory="{study}",
            labels={"table": "scores, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        resources=report(
            "results/studies/{study}/resources.tsv",
            category="Tables",
            subcategory="{study}",
            labels={"table": "seconds and memory of every job"},
            caption="../report/resources.rst",
        ),
        headline="results/studies/{study}/headline.txt",
        page=report(
            "results/studies/{study}/headline.html",
            category="Headline",
            labels={"study": "{study}"},
            caption="../report/headline.rst",
        ),
    log:
        "results/logs/collect/{study}.log",
    benchmark:
        "results/benchmarks/collect/{study}.tsv"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        jobs=lambda wildcards: [
            {"dataset": dataset, "model": model, "seeds": CONFIG.studies[wildcards.study].seeds}
            for dataset in CONFIG.studies[wildcards.study].datasets
            for model in CONFIG.studies[wildcards.study].models
        ],
        title=lambda wildcards: CONFIG.studies[wildcards.study].title,
        datasets=lambda wildcards: titles_of_datasets(wildcards.study),
        models=lambda wildcards: titles_of_models(wildcards.study),
    message:
        "Collecting the scores of {wildcards.study}"
    script:
        "../../scripts/collect.py"
