# Needs:    the scores, latents and benchmarks of all data sets, models and seeds of a study.
# Makes:    results/studies/{study}/: scores.tsv, perturbation.tsv and generation.tsv (all
#           measurements), a summary of each over the seeds, runs.tsv (what was trained, what failed
#           and why), absent.tsv (what does not apply and why), resources.tsv (seconds and memory),
#           headline.txt and headline.html.
# Promises: runs.tsv has a row for every seed that the study asks for. Equal runs give the same
#           bytes, except for resources.tsv and the columns that come from it.


rule collect:
    input:
        scores=lambda wildcards: GATHERED.of_clustered_datasets(wildcards.study, "scores.tsv"),
        latents=lambda wildcards: GATHERED.of_clustered_models(wildcards.study, "latents.h5ad"),
        runs=lambda wildcards: [
            run.record for run in PLAN.drawn_or_predicting_runs(wildcards.study)
        ],
        perturbation=lambda wildcards: GATHERED.perturbation_scores(wildcards.study),
        generation=lambda wildcards: GATHERED.of_drawing_models(wildcards.study, "generation.tsv"),
        absent=lambda wildcards: GATHERED.absences(wildcards.study),
        benchmarks=lambda wildcards: GATHERED.benchmarks(wildcards.study),
    output:
        scores="results/studies/{study}/scores.tsv",
        perturbation="results/studies/{study}/perturbation.tsv",
        generation="results/studies/{study}/generation.tsv",
        absent="results/studies/{study}/absent.tsv",
        runs="results/studies/{study}/runs.tsv",
        summary=report(
            "results/studies/{study}/summary.tsv",
            category=of_study(lambda study: study.title),
            subcategory="Tables",
            labels={"table": "clustering, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        perturbation_summary=report(
            "results/studies/{study}/perturbation_summary.tsv",
            category=of_study(lambda study: study.title),
            subcategory="Tables",
            labels={"table": "predicted treated cells, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        generation_summary=report(
            "results/studies/{study}/generation_summary.tsv",
            category=of_study(lambda study: study.title),
            subcategory="Tables",
            labels={"table": "drawn cells, mean and spread over seeds"},
            caption="../report/summary.rst",
        ),
        resources=report(
            "results/studies/{study}/resources.tsv",
            category=of_study(lambda study: study.title),
            subcategory="Tables",
            labels={"table": "seconds and memory of every job"},
            caption="../report/resources.rst",
        ),
        headline="results/studies/{study}/headline.txt",
        page=report(
            "results/studies/{study}/headline.html",
            category=of_study(lambda study: study.title),
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
        code=code_digest("collect"),
        encoded=lambda wildcards: [
            {"dataset": dataset, "model": model, "seeds": PLAN.study(wildcards.study).seeds}
            for dataset in PLAN.clustered_datasets(wildcards.study)
            for model in PLAN.models_and_floors(wildcards.study)
        ],
        runs=lambda wildcards: [
            (run.dataset, run.model, run.seed)
            for run in PLAN.drawn_or_predicting_runs(wildcards.study)
        ],
        predicted=lambda wildcards: PLAN.predicting_pairs(wildcards.study),
        generated=lambda wildcards: PLAN.drawn_pairs(wildcards.study),
        jobs=lambda wildcards: [tuple(job) for job in GATHERED.jobs(wildcards.study)],
        no_prior=lambda wildcards: PLAN.models_without_prior(wildcards.study),
        title=of_study(lambda study: study.title),
        datasets=lambda wildcards: PLAN.titles_of_datasets(wildcards.study),
        models=lambda wildcards: PLAN.titles_of_models(wildcards.study),
    message:
        "Collecting the scores of {wildcards.study}"
    script:
        "../../scripts/collect.py"
