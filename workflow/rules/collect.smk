# Needs:    the scores, latents and benchmarks of every data set, model and seed of a study, as far as it makes them
# Makes:    results/studies/{study}/: scores.tsv, perturbation.tsv and generation.tsv (all measurements), a summary of each over seeds,
#           runs.tsv (what was trained, what failed and why), absent.tsv (what does not apply and why), resources.tsv (seconds and
#           memory), headline.txt and headline.html.
# Promises: one row in runs.tsv for every seed asked for; all but resources.tsv and the columns from it are byte-identical between
#           equal runs.


rule collect:
    input:
        scores=over_study("results/studies/{study}/{dataset}/scores.tsv", evaluation="clustering"),
        latents=over_study(
            "results/studies/{study}/{dataset}/{model}/latents.h5ad",
            evaluation="clustering",
            floors=True,
        ),
        runs=records_of_runs,
        perturbation=perturbation_scores,
        generation=over_generation("results/studies/{study}/{dataset}/{model}/generation.tsv"),
        absent=absences,
        benchmarks=benchmarks,
        code=code("collect"),
    output:
        scores="results/studies/{study}/scores.tsv",
        perturbation="results/studies/{study}/perturbation.tsv",
        generation="results/studies/{study}/generation.tsv",
        absent="results/studies/{study}/absent.tsv",
        runs="results/studies/{study}/runs.tsv",
        summary=report(
            "results/studies/{study}/summary.tsv",
            category=title_of_study,
            subcategory="Tables",
            labels={"table": "clustering, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        perturbation_summary=report(
            "results/studies/{study}/perturbation_summary.tsv",
            category=title_of_study,
            subcategory="Tables",
            labels={"table": "predicted treated cells, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        generation_summary=report(
            "results/studies/{study}/generation_summary.tsv",
            category=title_of_study,
            subcategory="Tables",
            labels={"table": "drawn cells, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        resources=report(
            "results/studies/{study}/resources.tsv",
            category=title_of_study,
            subcategory="Tables",
            labels={"table": "seconds and memory of every job"},
            caption="../report/resources.rst",
        ),
        headline="results/studies/{study}/headline.txt",
        page=report(
            "results/studies/{study}/headline.html",
            category=title_of_study,
            subcategory="Headline",
            labels={"table": "headline"},
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
        encoded=lambda wildcards: [
            {"dataset": dataset, "model": model, "seeds": CONFIG.studies[wildcards.study].seeds}
            for dataset in CONFIG.studies[wildcards.study].datasets
            for model in models_and_floors(wildcards.study)
            if "clustering" in CONFIG.studies[wildcards.study].evaluations
        ],
        runs=lambda wildcards: runs_beside_clustering(wildcards.study),
        predicted=lambda wildcards: predicted_by(wildcards.study),
        generated=lambda wildcards: generated_by(wildcards.study),
        jobs=lambda wildcards: jobs_of(wildcards.study),
        no_prior=lambda wildcards: [
            (dataset, model)
            for dataset in CONFIG.studies[wildcards.study].datasets
            for model in CONFIG.studies[wildcards.study].models
            if "generation" in CONFIG.studies[wildcards.study].evaluations
            and not hyperparameters_class(MODELS[model].family).generative
        ],
        title=title_of_study,
        datasets=lambda wildcards: titles_of_datasets(wildcards.study),
        models=lambda wildcards: titles_of_models(wildcards.study),
    message:
        "Collecting the scores of {wildcards.study}"
    script:
        "../../scripts/collect.py"
