"""The figures of a study: which there are, what each is about, and which files it draws.

A figure has the name of its module in `sclatent.figures` and of its words in
`sclatent.figures.catalogue`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from sclatent.config.formats import IMAGES
from sclatent.figures.catalogue import CATALOGUE
from sclatent.pipeline.plan import Plan, Predicted

Files = dict[str, str | dict[str, str]]


class Figure(ABC):
    """A kind of figure.

    Attributes
    ----------
    suffix
        "svg" for a picture, "html" for a page that can be turned.
    """

    suffix: ClassVar[str] = "svg"

    def __init__(self, plan: Plan):
        self.plan = plan

    @abstractmethod
    def subjects(self, study: str) -> dict[str, str]:
        """Return what a study draws such a figure of: a title per subject."""

    @abstractmethod
    def files(self, study: str, subject: str) -> Files:
        """Return the files that the figure draws, by parameter of the notebook.

        A value is a path, or paths by a key of the notebook.
        """

    @abstractmethod
    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        """Return the other parameters of the notebook."""

    def clustered(self, study: str) -> dict[str, str]:
        """Return the titles of the data sets whose latents a study clusters, by name."""
        titles = self.plan.titles_of_datasets(study)
        return {name: titles[name] for name in self.plan.clustered_datasets(study)}

    def stochastic(self, study: str) -> dict[str, str]:
        """Return the titles of the models of a study whose latents are distributions, by name."""
        titles = self.plan.titles_without_floors(study)
        return {name: titles[name] for name in self.plan.generative_models(study)}


def of_models(study: str, dataset: str, name: str, models: Iterable[str]) -> dict[str, str]:
    """Return the paths of a file of several models of a study on a data set, by model."""
    return {model: f"results/studies/{study}/{dataset}/{model}/{name}" for model in models}


class QualityControl(Figure):
    """The steps of quality control; for data sets from which they can take cells or genes."""

    def subjects(self, study: str) -> dict[str, str]:
        titles = {}
        for name, title in self.plan.titles_of_datasets(study).items():
            dataset = self.plan.config.datasets[name]
            if any(dataset.qc.model_dump().values()) or dataset.drop_unlabelled:
                titles[name] = title
        return titles

    def files(self, study: str, subject: str) -> Files:
        folder = f"results/data/{subject}"
        return {"steps": f"{folder}/qc.tsv", "cells": f"{folder}/qc_cells.tsv"}

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {
            "title": self.plan.titles_of_datasets(study)[subject],
            "thresholds": self.plan.config.datasets[subject].qc.model_dump(),
        }


class Training(Figure):
    """The course of the loss and the cost of each training."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study)

    def files(self, study: str, subject: str) -> Files:
        models = self.plan.study(study).models
        runs = [
            run
            for run in self.plan.clustered_runs(study)
            if run.dataset == subject and run.model in models
        ]
        return {
            "resources": f"results/studies/{study}/resources.tsv",
            "histories": {f"{run.model}/{run.seed}": f"{run.folder}/history.tsv" for run in runs},
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"dataset": subject, "models": self.plan.titles_without_floors(study)}


class LatentSpace(Figure):
    """Maps of the latents of all models on a data set."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study)

    def files(self, study: str, subject: str) -> Files:
        models = self.plan.study(study).models
        return {
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "tsne": of_models(study, subject, "tsne.h5ad", models),
            "clusters": of_models(study, subject, "clusters.tsv", models),
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"models": self.plan.titles_without_floors(study)}


class LatentSpace3d(Figure):
    """One page with three-dimensional maps of all data sets and models."""

    suffix = "html"

    def subjects(self, study: str) -> dict[str, str]:
        return {"all": "all data sets"} if self.clustered(study) else {}

    def files(self, study: str, subject: str) -> Files:
        maps = {}
        for dataset in self.clustered(study):
            models = self.plan.study(study).models
            for model, path in of_models(study, dataset, "tsne.h5ad", models).items():
                maps[f"{dataset}/{model}"] = path
        return {"tsne": maps}

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {
            "datasets": self.plan.titles_of_datasets(study),
            "models": self.plan.titles_without_floors(study),
        }


class LatentParts(Figure):
    """Mean beside sample, and for mixtures z beside w."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study) if self.stochastic(study) else {}

    def files(self, study: str, subject: str) -> Files:
        return {
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "latents": of_models(study, subject, "latents.h5ad", self.stochastic(study)),
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"models": self.stochastic(study)}


class Louvain(Figure):
    """Louvain on PCA beside Louvain on the latent."""

    def learned(self, study: str) -> dict[str, str]:
        """Return the floor of each model of a study that is no floor itself."""
        floors = self.plan.floors[study]
        return {model: floor for model, floor in floors.items() if model != floor}

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study) if self.learned(study) else {}

    def files(self, study: str, subject: str) -> Files:
        learned = self.learned(study)
        clustered = list(dict.fromkeys([*learned, *learned.values()]))
        return {
            "scores": f"results/studies/{study}/{subject}/scores.tsv",
            "umap": f"results/studies/{study}/{subject}/umap.h5ad",
            "latents": of_models(study, subject, "latents.h5ad", learned),
            "clusters": of_models(study, subject, "clusters.tsv", clustered),
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"models": self.plan.titles_of_models(study), "floors": self.learned(study)}


class Confusion(Figure):
    """Clusters beside cell types."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study)

    def files(self, study: str, subject: str) -> Files:
        models = self.plan.study(study).models
        return {
            "latents": of_models(study, subject, "latents.h5ad", models),
            "clusters": of_models(study, subject, "clusters.tsv", models),
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"models": self.plan.titles_without_floors(study)}


class ScoreHeatmap(Figure):
    """Every score of every model."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.clustered(study)

    def files(self, study: str, subject: str) -> Files:
        return {"summary": f"results/studies/{study}/summary.tsv"}

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {
            "title": self.plan.titles_of_datasets(study)[subject],
            "dataset": subject,
            "models": self.plan.titles_of_models(study),
            "floors": sorted({*self.plan.floors[study].values(), *self.plan.added[study]}),
        }


class DrawnCells(Figure):
    """Drawn cells among real ones."""

    def subjects(self, study: str) -> dict[str, str]:
        return self.plan.titles_of_datasets(study) if self.plan.drawing_models(study) else {}

    def files(self, study: str, subject: str) -> Files:
        return {
            "drawn_map": f"results/studies/{study}/{subject}/drawn_map.h5ad",
            "generation": of_models(study, subject, "generation.tsv", self.stochastic(study)),
        }

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        return {"models": self.stochastic(study)}


class DrawnImages(DrawnCells):
    """Drawn images, for data sets of images that keep every pixel."""

    def subjects(self, study: str) -> dict[str, str]:
        titles = {}
        for name, title in super().subjects(study).items():
            dataset = self.plan.config.datasets[name]
            whole = dataset.qc.min_cells is None and dataset.n_top_genes is None
            if whole and dataset.format in IMAGES:
                titles[name] = title
        return titles

    def files(self, study: str, subject: str) -> Files:
        return {
            "drawn": of_models(study, subject, "drawn.h5ad", self.stochastic(study)),
            "data": f"results/data/{subject}/preprocessed.h5ad",
        }


class GeneMeans(Figure):
    """Predicted against real means of genes, for predicted treated cells."""

    def predictions(self, study: str) -> list[Predicted]:
        """Return the predictions of a study that have such a figure."""
        return self.plan.predicted(study)

    def subjects(self, study: str) -> dict[str, str]:
        return {
            predicted.name: self.plan.title_of_prediction(study, predicted)
            for predicted in self.predictions(study)
        }

    def files(self, study: str, subject: str) -> Files:
        predicted = self._prediction(study, subject)
        datasets = [predicted.dataset]
        if predicted.split == "held_out":
            datasets = self.plan.held_out_by_type(study, predicted.dataset)
        real = {name: f"results/data/{name}/responses.tsv" for name in datasets}
        if predicted.model is None:
            return {"real": real, "predicted": {}}
        folders = {name: f"results/studies/{study}/{name}/{predicted.model}" for name in datasets}
        by_model = {name: f"{folder}/responses.tsv" for name, folder in folders.items()}
        return {"real": real, "predicted": by_model}

    def parameters(self, study: str, subject: str) -> dict[str, Any]:
        predicted = self._prediction(study, subject)
        return {"title": self.plan.title_of_prediction(study, predicted)}

    def _prediction(self, study: str, subject: str) -> Predicted:
        return next(one for one in self.predictions(study) if one.name == subject)


class MarkerRanking(GeneMeans):
    """The genes that rise most, for treated cells that a model predicts."""

    def predictions(self, study: str) -> list[Predicted]:
        return [predicted for predicted in super().predictions(study) if predicted.model]


# In the order in which they are read.
FIGURES: dict[str, type[Figure]] = {
    "quality_control": QualityControl,
    "training": Training,
    "latent_space": LatentSpace,
    "latent_space_3d": LatentSpace3d,
    "latent_parts": LatentParts,
    "louvain": Louvain,
    "confusion": Confusion,
    "score_heatmap": ScoreHeatmap,
    "drawn_cells": DrawnCells,
    "drawn_images": DrawnImages,
    "gene_means": GeneMeans,
    "marker_ranking": MarkerRanking,
}
INTERACTIVE = [name for name, figure in FIGURES.items() if figure.suffix == "html"]
PICTURES = [name for name in FIGURES if name not in INTERACTIVE]


class FigurePlan:
    """Everything that the rules ask about figures."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.kinds = {name: figure(plan) for name, figure in FIGURES.items()}

    def figures_of(self, study: str) -> list[tuple[str, str]]:
        """Return name and subject of every figure of a study, in the order in which to read."""
        return [
            (name, subject) for name, kind in self.kinds.items() for subject in kind.subjects(study)
        ]

    def path(self, study: str, figure: str, subject: str) -> str:
        """Return the file of a figure: a picture or a page."""
        suffix = self.kinds[figure].suffix
        return f"results/studies/{study}/figures/{figure}/{subject}.{suffix}"

    def paths_of(self, study: str) -> list[str]:
        """Return the files of every figure of a study."""
        return [self.path(study, *figure) for figure in self.figures_of(study)]

    def subjects(self) -> list[str]:
        """Return every name that is the subject of a figure of any study."""
        studies = self.plan.config.studies
        return sorted({subject for study in studies for _, subject in self.figures_of(study)})

    def inputs(self, study: str, figure: str, subject: str) -> dict[str, str | list[str]]:
        """Return the files that a figure draws, by parameter of its notebook."""
        files = self.kinds[figure].files(study, subject)
        return {
            name: list(paths.values()) if isinstance(paths, dict) else paths
            for name, paths in files.items()
        }

    def parameters(self, study: str, figure: str, subject: str) -> dict[str, Any]:
        """Return all parameters of a figure's notebook, its files among them."""
        kind = self.kinds[figure]
        return {**kind.files(study, subject), **kind.parameters(study, subject)}

    def labels(self, study: str, figure: str, subject: str) -> dict[str, str]:
        """Return what the report calls a figure and its subject."""
        subjects = self.kinds[figure].subjects(study)
        return {"figure": CATALOGUE[figure].title, "of": subjects[subject]}

    def figures_of_paper(self) -> list[dict[str, Any]]:
        """Return every picture of the run for the paper: path, wildcards and labels."""
        figures = []
        for study in self.plan.config.run:
            for name, subject in self.figures_of(study):
                if name in PICTURES:
                    wildcards = {"study": study, "figure": name, "subject": subject}
                    path = self.path(study, name, subject)
                    labels = self.labels(study, name, subject)
                    caption = CATALOGUE[name].caption
                    entry = {"path": path, "wildcards": wildcards, "caption": caption}
                    figures.append({**entry, **labels})
        return figures
