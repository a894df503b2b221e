# Needs:    scores.tsv, latents.h5ad and the benchmarks of every data set, model and seed of a study
# Makes:    results/studies/{study}/: scores.tsv (all runs), runs.tsv (what was trained, what failed and why), summary.tsv (mean,
#           sd and failed share over seeds), resources.tsv (seconds and memory), headline.txt and headline.html.
# Promises: one row in runs.tsv for every seed asked for; scores and summary are byte-identical between equal runs.


def benchmarks_of(wildcards):
    """The benchmarks of every job of a study, data preparation left out, which studies share."""
    study = CONFIG.studies[wildcards.study]
    runs = expand("train/{dataset}/{model}/{seed}", dataset=study.datasets, model=study.models, seed=study.seeds)
    jobs = expand(
        "{step}/{study}/{dataset}/{model}",
        step=["encode", "embed_tsne", "cluster", "score"],
        study=wildcards.study,
        dataset=study.datasets,
        model=study.models,
    )
    return expand("results/benchmarks/{job}.tsv", job=[*runs, *jobs])


rule collect:
    localrule: True
    input:
        scores=per_model("results/studies/{study}/{dataset}/{model}/scores.tsv"),
        latents=per_model("results/studies/{study}/{dataset}/{model}/latents.h5ad"),
        benchmarks=benchmarks_of,
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
    message:
        "Collecting the scores of {wildcards.study}"
    log:
        "results/logs/collect/{study}.log",
    benchmark:
        "results/benchmarks/collect/{study}.tsv"
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
        titles={**titles("datasets"), **titles("models")},
    conda:
        "../../envs/evaluation.yaml"
    script:
        "../../scripts/collect.py"
