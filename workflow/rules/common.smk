# Needs:    the merged configuration.
# Makes:    nothing; CONFIG (the checked configuration), DATASETS and MODELS (those of the tables and those that studies need beside
#           them), FLOORS and ADDED (by study, the floor of each model, and the floors that are no model of it), GPUS and TORCH
#           (what jobs that run models ask for), and the helpers that other rules files share.
# Promises: a mistake of the user ends the run here, in one line with its cure and exit code 1.

import itertools
import logging
import math
import os
import re
import sys
from pathlib import Path

from snakemake.logging import logger

BASE = Path(workflow.basedir)
sys.path.insert(0, str(BASE / "scripts"))

from sclatent.config.models import Phase
from sclatent.config.floors import floors
from sclatent.config.load import held_out_datasets, load, published_files
from sclatent.io.imports import code_of
from sclatent.config.datasets import without_treated
from sclatent.data.locations import data_directories, own_files
from sclatent.common.errors import UserError
from sclatent.figures.catalogue import CATALOGUE
from sclatent.families.registry import family_files, hyperparameters_class
from sclatent.families.base import explains_counts
from sclatent.pipeline.failures import explain, in_words
from sclatent.pipeline.preflight import check_own_files, prepare, reads_data, runs_jobs

logger.addFilter(in_words)
logging.raiseExceptions = (
    False  # a log that cannot be written is no reason for tracebacks on the terminal
)
PAGE = Path("results/report.html")
PAGE_BEFORE = PAGE.stat().st_mtime_ns if PAGE.exists() else None

try:
    CONFIG = load(config)
    PUBLISHED = published_files(CONFIG)
    DATASETS = {**CONFIG.datasets, **held_out_datasets(CONFIG)}
    FLOORS, ADDED, MODELS = {}, {}, dict(CONFIG.models)
    for name in CONFIG.studies:
        FLOORS[name], ADDED[name] = floors(CONFIG, name)
        MODELS |= ADDED[name]
    # Where files are brought from is no parameter of fetch: another mirror or folder makes nothing stale.
    config["data_directories"] = CONFIG.data_directories
    config["device"] = CONFIG.device  # nor where models run, which depends on the machine
    config["published"] = {name: file.model_dump() for name, file in PUBLISHED.items()}
    if workflow.is_main_process and runs_jobs(sys.argv):
        if reads_data(sys.argv):
            check_own_files(CONFIG)
        for reason in prepare(
            CONFIG, BASE, sys.argv[0], plans_only=workflow.output_settings.dryrun
        ):
            print(f"sclatent: {reason}", file=sys.stderr)
    # Nor are captions parameters of figures, which would be redrawn if a word changed.
    config["captions"] = {name: text.caption for name, text in CATALOGUE.items()}
except UserError as error:
    sys.exit(f"sclatent: {error}")


# Jobs that can use a GPU ask for one unless none is wanted; the profile says whether they are given it.
GPUS = 0 if CONFIG.device == "cpu" else 1
# Conda needs to know torch's build before it is known where a job will run: that for CUDA, of some gigabytes, is taken only where a
# CUDA device is demanded. What this machine has must not decide it, or a move to another one would rerun everything.
TORCH = "torch_cuda" if CONFIG.device == "cuda" else "torch"


wildcard_constraints:
    study="|".join(CONFIG.studies),
    dataset="|".join(map(re.escape, DATASETS)),
    model="|".join(map(re.escape, MODELS)),
    seed=r"\d+",
    file="|".join(map(re.escape, PUBLISHED)),


def code(script, *others):
    """A script and the library files that it and others rest on. A change in them, and in no other, reruns what names them."""
    path = BASE / "scripts" / f"{script}.py"
    return [os.path.relpath(file) for file in [path, *code_of([path, *others])]]


def code_with_family(script):
    """Input function: `code` of a script that runs the model of the rule's wildcard."""
    return lambda wildcards: code(script, *family_files(MODELS[wildcards.model].family))


def growing(base, per_mb):
    """Resource function: a base and so much for each MB of the input files that are there, times the attempt."""

    def amount(wildcards, input, attempt):
        size = sum(os.path.getsize(path) for path in set(input) if os.path.isfile(path)) / 1e6
        return math.ceil(attempt * (base + per_mb * size))

    return amount


def source_files(wildcards):
    """Input function: the files of a data set by role, your own where they lie and published ones where fetch brings them."""
    directories = data_directories(CONFIG.data_directories)
    return {
        role: (
            own_files(file.path, directories)
            if file.path is not None
            else [f"results/files/{file.name}"]
        )
        for role, file in DATASETS[wildcards.dataset].files.items()
    }


def reader_options(wildcards):
    """What the reader of a data set takes beside its files."""
    dataset = DATASETS[wildcards.dataset]
    if dataset.format == "h5ad":
        return {"layer": dataset.layer}
    return {} if dataset.blobs is None else dataset.blobs.model_dump()


def clusters_of(wildcards):
    """The settings by which a data set is clustered; genes are chosen where values are logarithms of counts."""
    dataset = DATASETS[wildcards.dataset]
    settings = dataset.clusters.model_dump()
    return settings if dataset.normalization == "log" else {**settings, "n_top_genes": None}


def training_data(wildcards):
    """Input function: the file that models of a data set are trained on."""
    return data_for_training(wildcards.dataset)


def data_for_training(dataset):
    """The file that models of a data set are trained on."""
    name = "preprocessed" if DATASETS[dataset].balance is None else "training"
    return f"results/data/{dataset}/{name}.h5ad"


def settings_of_training(wildcards):
    """What a model and its training are made of."""
    model = MODELS[wildcards.model]
    settings = model.model_dump(include={"family", "hyperparameters", "input"})
    training = model.training.model_dump(exclude=set(Phase.model_fields))
    share = None if model.supervision is None else model.supervision.share
    return {**settings, "training": training, "share": share}


def told_to_model(wildcards):
    """Which labels a model is told, and of which data set: its condition, and those that guide its training."""
    model = MODELS[wildcards.model]
    conditional = hyperparameters_class(model.family).conditional
    labels, labelled = None, None
    if model.supervision is not None:
        labels, labelled = model.supervision.labels, model.supervision.dataset or wildcards.dataset
    return {
        "condition": model.condition if conditional else None,
        "labels": labels,
        "labelled": labelled,
    }


def labels_of_training(wildcards):
    """Input function: the files of labels that guide a training, beyond those of the data set that is trained on."""
    told = told_to_model(wildcards)
    files = {}
    if told["labels"] == "louvain":
        files["clusters"] = f"results/data/{told['labelled']}/clusters.tsv"
    if told["labelled"] not in (None, wildcards.dataset):
        files["labelled"] = data_for_training(told["labelled"])
        files["labelled_split"] = f"results/data/{told['labelled']}/preprocessed.h5ad"
    return files


def over_study(*patterns, evaluation=None, floors=False):
    """Input function: patterns over the data sets, models and seeds of a study, as far as no wildcard of the rule fixes them.

    evaluation: nothing, unless the study makes it. floors: over the models' floors, too.
    """

    def paths(wildcards):
        study = CONFIG.studies[wildcards.study]
        if evaluation not in (None, *study.evaluations):
            return []
        models = models_and_floors(wildcards.study) if floors else study.models
        values = {
            "study": wildcards.study,
            "dataset": study.datasets,
            "model": models,
            "seed": study.seeds,
        }
        return expand(list(patterns), **{**values, **wildcards})

    return paths


def over_perturbation(*patterns):
    """Input function: patterns over the data sets on which a study predicts treated cells, its models and its seeds."""

    def paths(wildcards):
        study = CONFIG.studies[wildcards.study]
        datasets = perturbed_datasets(wildcards.study)
        return expand(
            list(patterns),
            study=wildcards.study,
            dataset=datasets,
            model=study.models,
            seed=study.seeds,
        )

    return paths


def over_generation(*patterns):
    """Input function: patterns over the data sets, generative models and seeds of a study, as far as no wildcard fixes them."""

    def paths(wildcards):
        study = CONFIG.studies[wildcards.study]
        if "generation" not in study.evaluations:
            return []
        models = generative_models(wildcards.study)
        values = {
            "study": wildcards.study,
            "dataset": study.datasets,
            "model": models,
            "seed": study.seeds,
        }
        return expand(list(patterns), **{**values, **wildcards})

    return paths


def generative_models(study):
    """The models of a study from which cells can be drawn."""
    return [
        model
        for model in CONFIG.studies[study].models
        if hyperparameters_class(MODELS[model].family).generative
    ]


def components_of(study):
    """The number of components of each mixture of a study."""
    models = {name: MODELS[name] for name in CONFIG.studies[study].models}
    return {
        name: model.hyperparameters["n_components"]
        for name, model in models.items()
        if hyperparameters_class(model.family).mixture
    }


def components_above(wildcards):
    """The numbers of components of the mixtures of a study whose floor a model is."""
    of_mixtures = components_of(wildcards.study)
    return sorted(
        {n for name, n in of_mixtures.items() if FLOORS[wildcards.study][name] == wildcards.model}
    )


def incomparable(wildcards):
    """Why cells that a model draws are in other units than the real cells of a data set; empty where they are not."""
    dataset, hyperparameters = DATASETS[wildcards.dataset], MODELS[wildcards.model].hyperparameters
    if dataset.scale is not None or (dataset.balance is not None and dataset.balance.standardize):
        return "the data set is scaled, and drawn cells with it; scale by the model's input instead"
    if explains_counts(hyperparameters) and dataset.normalization != "log":
        return "the model draws counts, but the values of the data set are no logarithms of counts"
    return ""


def models_and_floors(study):
    """The models of a study, then those of their floors that are none of them."""
    return [*CONFIG.studies[study].models, *ADDED[study]]


def perturbed_datasets(study):
    """The data sets on which a study predicts treated cells: those with the treated cells of a type held out, and in sample."""
    settings = CONFIG.studies[study]
    if "perturbation" not in settings.evaluations:
        return []
    held_out = [
        without_treated(dataset, CONFIG.datasets[dataset], cell_type)[0]
        for dataset in settings.datasets
        for cell_type in settings.perturbation.cell_types
    ]
    return [*held_out, *(settings.datasets if settings.perturbation.in_sample else [])]


def perturbation_scores(wildcards):
    """Input function: every table of scored predictions of a study, those without a model first."""
    baselines = expand(
        "results/data/{dataset}/baselines.tsv", dataset=perturbed_datasets(wildcards.study)
    )
    return baselines + over_perturbation(
        "results/studies/{study}/{dataset}/{model}/perturbation.tsv"
    )(wildcards)


def predicted_by(study):
    """(data set that is trained on, model) per table of `perturbation_scores`; None if no model."""
    datasets, models = perturbed_datasets(study), CONFIG.studies[study].models
    return [(dataset, None) for dataset in datasets] + list(itertools.product(datasets, models))


def generated_by(study):
    """(data set, model) of every pair of which a study generates cells."""
    if "generation" not in CONFIG.studies[study].evaluations:
        return []
    return list(itertools.product(CONFIG.studies[study].datasets, generative_models(study)))


def runs_beside_clustering(study):
    """(data set, model, seed) of the runs that generate cells or predict treated cells."""
    pairs = generated_by(study) + [pair for pair in predicted_by(study) if pair[1] is not None]
    runs = [(*pair, seed) for pair in pairs for seed in CONFIG.studies[study].seeds]
    return list(dict.fromkeys(runs))


def records_of_runs(wildcards):
    """Input function: the records of `runs_beside_clustering`."""
    return list(map(record_of_run, runs_beside_clustering(wildcards.study)))


def record_of_run(run):
    """The path of the record of a run."""
    return "results/runs/{}/{}/{}/run.json".format(*run)


def absences(wildcards):
    """Input function: every table of a study that says what does not apply."""
    return (
        over_study("results/studies/{study}/{dataset}/absent.tsv", evaluation="clustering")(
            wildcards
        )
        + expand(
            "results/data/{dataset}/baselines_absent.tsv",
            dataset=perturbed_datasets(wildcards.study),
        )
        + over_perturbation("results/studies/{study}/{dataset}/{model}/perturbation_absent.tsv")(
            wildcards
        )
        + over_generation("results/studies/{study}/{dataset}/{model}/generation_absent.tsv")(
            wildcards
        )
    )


def jobs_of(study):
    """(rule, data set, model, seed) per job of a study from training on.

    The model or the seed is None if a job takes all of them.
    """
    settings, jobs = CONFIG.studies[study], []

    def add(rule, pairs):
        jobs.extend((rule, *pair, None) for pair in pairs)

    def add_trainings(pairs):
        jobs.extend(("train", *pair, seed) for pair in pairs for seed in settings.seeds)

    datasets = [(dataset, None) for dataset in settings.datasets]
    if "clustering" in settings.evaluations:
        with_floors = list(itertools.product(settings.datasets, models_and_floors(study)))
        add_trainings(with_floors)
        add("encode", with_floors)
        add("cluster", with_floors)
        add("embed_umap", datasets)
        add("score", datasets)
        add("embed_tsne", itertools.product(settings.datasets, settings.models))
    if "generation" in settings.evaluations:
        add_trainings(generated_by(study))
        add("generate", generated_by(study))
        add("embed_drawn", datasets)
    predicting = [(dataset, model) for dataset, model in predicted_by(study) if model is not None]
    add_trainings(predicting)
    add("perturb", predicting)
    return list(dict.fromkeys(jobs))


def benchmark_of(study, rule, dataset, model, seed):
    """The path of the benchmark file of a job."""
    parts = (dataset, model, str(seed)) if rule == "train" else (study, dataset, model)
    return f"results/benchmarks/{'/'.join(filter(None, [rule, *parts]))}.tsv"


def benchmarks(wildcards):
    """Input function: what every one of `jobs_of` took."""
    return [benchmark_of(wildcards.study, *job) for job in jobs_of(wildcards.study)]


def table_entry(dataset):
    """The data set of the table that a data set is, or is a part of: its counts are those of that one."""
    return dataset.partition(".")[0]


def title_of_study(wildcards):
    """What to call a study."""
    return CONFIG.studies[wildcards.study].title


def titles_of_models(study):
    """What to call the models of a study, by name; those that see cell types, by which they are scored, say so."""
    models = {name: MODELS[name] for name in models_and_floors(study)}
    return {
        name: f"{model.title} (sees cell types)" if sees_cell_types(model) else model.title
        for name, model in models.items()
    }


def sees_cell_types(model):
    """Whether a model is told the cell types of cells that it is scored on."""
    conditioned = hyperparameters_class(model.family).conditional and model.condition == "cell_type"
    return conditioned or (
        model.supervision is not None and model.supervision.labels == "cell_type"
    )


def titles_of_datasets(study):
    """What to call the data sets of a study, by name; those whose labels are no annotation say so."""
    datasets = {name: CONFIG.datasets[name] for name in CONFIG.studies[study].datasets}
    return {
        name: f"{dataset.title} (derived labels)" if dataset.labels == "derived" else dataset.title
        for name, dataset in datasets.items()
    }


COLLECTED = [
    "scores",
    "perturbation",
    "generation",
    "summary",
    "perturbation_summary",
    "generation_summary",
    "absent",
    "runs",
    "resources",
]


def exports_of(study):
    """The files of a study for other programs: its tables and, where it clusters cells, its data sets."""
    settings = CONFIG.studies[study]
    names = [f"{table}.parquet" for table in COLLECTED]
    if "clustering" in settings.evaluations:
        names += [f"{dataset}.h5ad" for dataset in settings.datasets]
    return [f"results/studies/{study}/exports/{name}" for name in names]


def print_headlines():
    """Print the headline table of every study and where the report lies, if this run built the report."""
    if not PAGE.exists() or PAGE.stat().st_mtime_ns == PAGE_BEFORE:
        return
    for name in CONFIG.run:
        _, table = (
            Path(f"results/studies/{name}/headline.txt").read_text().split("\n", maxsplit=1)
        )  # provenance first
        print(
            f"\n{CONFIG.studies[name].title}: mean ± sd over {len(CONFIG.studies[name].seeds)} seeds\n\n{table}"
        )
    print(f"Report: {PAGE}")


def print_faults(logs):
    """Print what Snakemake's logs tell of jobs that were killed and of faults of the machine."""
    for line in explain("\n".join(Path(log).read_text(errors="replace") for log in logs)):
        print(f"sclatent: {line}", file=sys.stderr)
