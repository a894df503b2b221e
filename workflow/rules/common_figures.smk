# Needs:    common.smk
# Makes:    nothing; FIGURES, what figures there are, and the helpers by which rules know their files, parameters and names.
# Promises: a figure is one entry of FIGURES, one notebook and one caption of the same name.

from typing import Callable, NamedTuple

from sclatent.config.formats import IMAGES


class FigureKind(NamedTuple):
    """A figure of a study.

    title: what the report calls it. subjects: of a study, by name what each figure is about, as the report calls it. files: of a
    study and a subject what it draws, by the name of the notebook's parameter: a path, or paths by a key of the notebook's.
    parameters: of a study and a subject what else the notebook is told.
    """

    title: str
    subjects: Callable
    files: Callable
    parameters: Callable


def clustered(study):
    """The data sets of a study whose latents are clustered, with their titles."""
    return titles_of_datasets(study) if "clustering" in CONFIG.studies[study].evaluations else {}


def filtered(study):
    """The data sets of a study that quality control can take cells or genes from, with their titles."""
    return {
        name: title
        for name, title in titles_of_datasets(study).items()
        if any(
            [*CONFIG.datasets[name].qc.model_dump().values(), CONFIG.datasets[name].drop_unlabelled]
        )
    }


def of_models(study, subject, name, models=None):
    """The paths of a file of every model of a study on a data set, by model."""
    return {
        model: f"results/studies/{study}/{subject}/{model}/{name}"
        for model in models or CONFIG.studies[study].models
    }


def titles_without_floors(study):
    """What to call the models of a study, by name, without floors that are none of them."""
    return {
        name: title
        for name, title in titles_of_models(study).items()
        if name in CONFIG.studies[study].models
    }


def stochastic_models(study):
    """The models of a study whose latents are distributions, with their titles."""
    titles = titles_without_floors(study)
    return {name: titles[name] for name in generative_models(study)}


def drawn_from(study):
    """The data sets of a study of which cells are drawn, with their titles."""
    drawn = "generation" in CONFIG.studies[study].evaluations and generative_models(study)
    return titles_of_datasets(study) if drawn else {}


def images_drawn_from(study):
    """Those that are images of which every pixel is kept."""
    datasets = {name: CONFIG.datasets[name] for name in drawn_from(study)}
    whole = [
        name
        for name, dataset in datasets.items()
        if dataset.qc.min_cells is None and dataset.n_top_genes is None
    ]
    return {
        name: title
        for name, title in drawn_from(study).items()
        if name in whole and datasets[name].format in IMAGES
    }


def learned(study):
    """The models of a study that are no floors, with the floor of each."""
    return {model: floor for model, floor in FLOORS[study].items() if model != floor}


class Predicted(NamedTuple):
    """Treated cells of a data set as a model of a study predicts them, or predictors without one: held_out or in_sample."""

    split: str
    dataset: str
    model: str | None


def predicted(study):
    """What a study predicts of treated cells, by subject of a figure. In sample nothing is predicted without the condition."""
    settings = CONFIG.studies[study]
    if "perturbation" not in settings.evaluations:
        return {}
    told = {
        name: hyperparameters_class(MODELS[name].family).conditional and MODELS[name].condition
        for name in settings.models
    }
    predictors = {
        "in_sample": (
            [name for name in told if told[name] == "condition"]
            if settings.perturbation.in_sample
            else []
        )
    }
    if settings.perturbation.cell_types:
        predictors["held_out"] = [
            None,
            *(name for name in told if told[name] in (False, "condition")),
        ]
    found = [
        Predicted(split, dataset, model)
        for dataset in settings.datasets
        for split in sorted(predictors)
        for model in predictors[split]
    ]
    return {".".join(filter(None, prediction)): prediction for prediction in found}


def title_of_prediction(study, subject):
    """What to call what a study predicts."""
    split, dataset, model = predicted(study)[subject]
    by = "without a model" if model is None else titles_of_models(study)[model]
    return f"{titles_of_datasets(study)[dataset]}, {split.replace('_', ' ')}: {by}"


def files_of_prediction(study, subject):
    """The responses that a prediction is about, by data set: real ones, and those that its model predicts."""
    split, dataset, model = predicted(study)[subject]
    datasets = [dataset]
    if split == "held_out":
        types = CONFIG.studies[study].perturbation.cell_types
        datasets = [name_without_treated(dataset, cell_type) for cell_type in types]
    return {
        "real": {name: f"results/data/{name}/responses.tsv" for name in datasets},
        "predicted": {
            name: f"results/studies/{study}/{name}/{model}/responses.tsv"
            for name in datasets
            if model
        },
    }


FIGURES = {
    "quality_control": FigureKind(
        "Quality control",
        filtered,
        lambda study, subject: {
            "steps": f"results/data/{subject}/qc.tsv",
            "cells": f"results/data/{subject}/qc_cells.tsv",
        },
        lambda study, subject: {
            "title": titles_of_datasets(study)[subject],
            "thresholds": CONFIG.datasets[subject].qc.model_dump(),
        },
    ),
    "training": FigureKind(
        "Training",
        clustered,
        lambda study, subject: {
            "resources": f"results/studies/{study}/resources.tsv",
            "histories": {
                f"{model}/{seed}": f"results/runs/{subject}/{model}/{seed}/history.tsv"
                for model in CONFIG.studies[study].models
                for seed in CONFIG.studies[study].seeds
            },
        },
        lambda study, subject: {"dataset": subject, "models": titles_without_floors(study)},
    ),
    "latent_space": FigureKind(
        "Latent spaces",
        clustered,
        lambda study, subject: {
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "tsne": of_models(study, subject, "tsne.h5ad"),
            "clusters": of_models(study, subject, "clusters.tsv"),
        },
        lambda study, subject: {"models": titles_without_floors(study)},
    ),
    "latent_space_3d": FigureKind(
        "Latent spaces in 3-D",
        lambda study: {"all": "all data sets"} if clustered(study) else {},
        lambda study, subject: {
            "tsne": {
                f"{dataset}/{model}": path
                for dataset in clustered(study)
                for model, path in of_models(study, dataset, "tsne.h5ad").items()
            }
        },
        lambda study, subject: {
            "datasets": titles_of_datasets(study),
            "models": titles_without_floors(study),
        },
    ),
    "latent_parts": FigureKind(
        "Mean and sample, z and w",
        lambda study: clustered(study) if stochastic_models(study) else {},
        lambda study, subject: {
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "latents": of_models(study, subject, "latents.h5ad", stochastic_models(study)),
        },
        lambda study, subject: {"models": stochastic_models(study)},
    ),
    "louvain": FigureKind(
        "Louvain on PCA and on the latent",
        lambda study: clustered(study) if learned(study) else {},
        lambda study, subject: {
            "scores": f"results/studies/{study}/{subject}/scores.tsv",
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "latents": of_models(study, subject, "latents.h5ad", learned(study)),
            "clusters": of_models(
                study,
                subject,
                "clusters.tsv",
                {**learned(study), **{f: f for f in learned(study).values()}},
            ),
        },
        lambda study, subject: {"models": titles_of_models(study), "floors": learned(study)},
    ),
    "confusion": FigureKind(
        "Clusters and cell types",
        clustered,
        lambda study, subject: {
            "latents": of_models(study, subject, "latents.h5ad"),
            "clusters": of_models(study, subject, "clusters.tsv"),
        },
        lambda study, subject: {"models": titles_without_floors(study)},
    ),
    "score_heatmap": FigureKind(
        "Scores",
        clustered,
        lambda study, subject: {"summary": f"results/studies/{study}/summary.tsv"},
        lambda study, subject: {
            "title": titles_of_datasets(study)[subject],
            "dataset": subject,
            "models": titles_of_models(study),
            "floors": sorted({*FLOORS[study].values(), *ADDED[study]}),
        },
    ),
    "drawn_cells": FigureKind(
        "Drawn cells",
        drawn_from,
        lambda study, subject: {
            "drawn_map": f"results/studies/{study}/{subject}/drawn_map.h5ad",
            "generation": of_models(study, subject, "generation.tsv", stochastic_models(study)),
        },
        lambda study, subject: {"models": stochastic_models(study)},
    ),
    "drawn_images": FigureKind(
        "Drawn images",
        images_drawn_from,
        lambda study, subject: {
            "drawn": of_models(study, subject, "drawn.h5ad", stochastic_models(study)),
            "data": f"results/data/{subject}/preprocessed.h5ad",
        },
        lambda study, subject: {"models": stochastic_models(study)},
    ),
    "gene_means": FigureKind(
        "Predicted means of genes",
        lambda study: {
            subject: title_of_prediction(study, subject) for subject in predicted(study)
        },
        files_of_prediction,
        lambda study, subject: {"title": title_of_prediction(study, subject)},
    ),
    "marker_ranking": FigureKind(
        "Genes that rise most",
        lambda study: {
            subject: title_of_prediction(study, subject)
            for subject, found in predicted(study).items()
            if found.model
        },
        files_of_prediction,
        lambda study, subject: {"title": title_of_prediction(study, subject)},
    ),
}
INTERACTIVE = ["latent_space_3d"]  # pages, where others are pictures


def subjects_of_figures():
    """Every name that is the subject of a figure."""
    return sorted(
        {
            subject
            for study in CONFIG.studies
            for kind in FIGURES.values()
            for subject in kind.subjects(study)
        }
    )


def figures_of(study):
    """Every figure of a study, in the order in which they are to be read."""
    return [
        f"results/studies/{study}/figures/{name}/{subject}.{'html' if name in INTERACTIVE else 'svg'}"
        for name, kind in FIGURES.items()
        for subject in kind.subjects(study)
    ]


def data_of_figure(wildcards):
    """Input function: the files that a figure draws."""
    files = FIGURES[wildcards.figure].files(wildcards.study, wildcards.subject)
    return {
        name: list(paths.values()) if isinstance(paths, dict) else paths
        for name, paths in files.items()
    }


def parameters_of_figure(wildcards):
    """The parameters of a figure's notebook: its files and what else it is told."""
    kind = FIGURES[wildcards.figure]
    return {
        **kind.files(wildcards.study, wildcards.subject),
        **kind.parameters(wildcards.study, wildcards.subject),
    }


def labels_of_figure(wildcards):
    """What the report calls a figure."""
    kind = FIGURES[wildcards.figure]
    return {"figure": kind.title, "of": kind.subjects(wildcards.study)[wildcards.subject]}
