# Needs:    the scores, latents and benchmarks of every data set, model and seed of a study, as far as it makes them
# Makes:    results/studies/{study}/: scores.tsv, perturbation.tsv and generation.tsv (all measurements), a summary of each over seeds,
#           runs.tsv (what was trained, what failed and why), absent.tsv (what does not apply and why), resources.tsv (seconds and
#           memory), headline.txt and headline.html.
# Promises: one row in runs.tsv for every seed asked for; all but resources.tsv and the columns from it are byte-identical between
#           equal runs.

OF_DATASET = "results/studies/{study}/{dataset}"
OF_MODEL = "results/studies/{study}/{dataset}/{model}"


def over_clustered(*patterns, floors=False):
    """Input function: paths per data set and model whose latents a study clusters."""

    def paths(wildcards):
        study = wildcards.study
        models = PLAN.models_and_floors(study) if floors else PLAN.study(study).models
        return expand(
            list(patterns), study=study, dataset=PLAN.clustered_datasets(study), model=models
        )

    return paths


def over_drawn(*patterns):
    """Input function: paths per data set and model of which a study draws cells."""

    def paths(wildcards):
        study = wildcards.study
        models = PLAN.drawing_models(study)
        datasets = PLAN.study(study).datasets if models else []
        return expand(list(patterns), study=study, dataset=datasets, model=models)

    return paths


def over_predicted(*patterns):
    """Input function: paths per data set and model by which a study predicts treated cells."""

    def paths(wildcards):
        study = wildcards.study
        datasets, models = PLAN.perturbed_datasets(study), PLAN.study(study).models
        return expand(list(patterns), study=study, dataset=datasets, model=models)

    return paths


def perturbation_scores(wildcards):
    """Input function: all scored predictions of a study, those without a model first."""
    datasets = PLAN.perturbed_datasets(wildcards.study)
    baselines = expand("results/data/{dataset}/baselines.tsv", dataset=datasets)
    return baselines + over_predicted(f"{OF_MODEL}/perturbation.tsv")(wildcards)


def datasets_of_perturbation_scores(wildcards):
    """Parameter function: the data set of each of `perturbation_scores`."""
    datasets = PLAN.perturbed_datasets(wildcards.study)
    return [*datasets, *(d for d in datasets for _ in PLAN.study(wildcards.study).models)]


def absences(wildcards):
    """Input function: all tables of a study that say what does not apply."""
    datasets = PLAN.perturbed_datasets(wildcards.study)
    return [
        *over_clustered(f"{OF_DATASET}/absent.tsv")(wildcards),
        *expand("results/data/{dataset}/baselines_absent.tsv", dataset=datasets),
        *over_predicted(f"{OF_MODEL}/perturbation_absent.tsv")(wildcards),
        *over_drawn(f"{OF_MODEL}/generation_absent.tsv")(wildcards),
    ]


def benchmarks(wildcards):
    """Input function: the time and memory of every job of a study, from training on."""
    folder = "results/benchmarks"
    of_model, of_dataset = "{study}/{dataset}/{model}.tsv", "{study}/{dataset}.tsv"
    training = folder + "/train/{dataset}/{model}/{seed}.tsv"
    with_floors = over_clustered(
        f"{folder}/encode/{of_model}", f"{folder}/cluster/{of_model}", floors=True
    )
    without_floors = over_clustered(
        f"{folder}/embed_umap/{of_dataset}",
        f"{folder}/score/{of_dataset}",
        f"{folder}/embed_tsne/{of_model}",
    )
    drawn = over_drawn(f"{folder}/generate/{of_model}", f"{folder}/embed_drawn/{of_dataset}")
    predicted = over_predicted(f"{folder}/perturb/{of_model}")
    paths = [
        *of_runs(training, PLAN.clustered_runs(wildcards.study)),
        *with_floors(wildcards),
        *without_floors(wildcards),
        *of_runs(training, PLAN.drawn_or_predicting_runs(wildcards.study)),
        *drawn(wildcards),
        *predicted(wildcards),
    ]
    return list(dict.fromkeys(paths))


rule collect:
    input:
        scores=over_clustered(f"{OF_DATASET}/scores.tsv"),
        latents=over_clustered(f"{OF_MODEL}/latents.h5ad", floors=True),
        runs=lambda wildcards: [
            run.record for run in PLAN.drawn_or_predicting_runs(wildcards.study)
        ],
        perturbation=perturbation_scores,
        generation=over_drawn(f"{OF_MODEL}/generation.tsv"),
        absent=absences,
        benchmarks=benchmarks,
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
        jobs=lambda wildcards: [
            {"dataset": dataset, "model": model, "seeds": PLAN.study(wildcards.study).seeds}
            for dataset in PLAN.clustered_datasets(wildcards.study)
            for model in PLAN.models_and_floors(wildcards.study)
        ],
        perturbed=datasets_of_perturbation_scores,
        no_prior=lambda wildcards: PLAN.models_without_prior(wildcards.study),
        title=of_study(lambda study: study.title),
        datasets=lambda wildcards: PLAN.titles_of_datasets(wildcards.study),
        models=lambda wildcards: PLAN.titles_of_models(wildcards.study),
    message:
        "Collecting the scores of {wildcards.study}"
    script:
        "../../scripts/collect.py"
