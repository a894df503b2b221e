"""What the rules compute from the configuration: names, settings and files of every job.

`Plan` knows nothing of Snakemake, so that it can be tested without it. Rules ask it for identifiers
first, such as each `Run` of a study, and write their paths last.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from sclatent.config.datasets import Dataset, name_without_treated
from sclatent.config.floors import floors
from sclatent.config.load import Config, held_out_datasets, published_files
from sclatent.config.models import Model, Phase, VisibleLabels
from sclatent.config.studies import Study
from sclatent.families.base import MixtureHyperparameters

T = TypeVar("T")
Split = Literal["held_out", "in_sample"]

# The tables that every study writes, which are exported as Parquet, too.
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
# The tables that the paper shows. They are small enough to be kept in the repository.
KEPT = ["summary", "perturbation_summary", "generation_summary", "runs", "absent"]


@dataclass(frozen=True, order=True)
class Run:
    """A training: one model on one data set with one seed."""

    dataset: str
    model: str
    seed: int

    @property
    def folder(self) -> str:
        """The folder of its weights, record and history."""
        return f"results/runs/{self.dataset}/{self.model}/{self.seed}"

    @property
    def record(self) -> str:
        """The file of its record."""
        return f"{self.folder}/run.json"


@dataclass(frozen=True)
class Predicted:
    """Treated cells that a study predicts: on which data set, by which model, None for no model."""

    split: Split
    dataset: str
    model: str | None

    @property
    def name(self) -> str:
        """A name for files: split, data set and, if there is one, model."""
        return ".".join(part for part in (self.split, self.dataset, self.model) if part)


class Plan:
    """Everything that the rules ask of a configuration.

    Parameters
    ----------
    config
        The checked configuration.

    Attributes
    ----------
    datasets
        All data sets by name: those of the table, and for each cell type whose treated cells a
        study holds out, a data set without them.
    models
        All models by name: those of the table, and the floors that studies add.
    floors
        By study, the floor of each model by name.
    added
        By study, the names of floors that are no model of the study.
    published
        Files that are fetched, by name.
    """

    def __init__(self, config: Config):
        self.config = config
        self.datasets: dict[str, Dataset] = {**config.datasets, **held_out_datasets(config)}
        self.published = published_files(config)
        self.models: dict[str, Model] = dict(config.models)
        self.floors: dict[str, dict[str, str]] = {}
        self.added: dict[str, list[str]] = {}
        for name in config.studies:
            self.floors[name], added = floors(config, name)
            self.added[name] = list(added)
            self.models |= added

    def study(self, name: str) -> Study:
        """Return the settings of a study."""
        return self.config.studies[name]

    # ---- Data sets

    def table_entry(self, dataset: str) -> str:
        """Return the data set of the table whose counts a data set has."""
        return dataset.partition(".")[0]

    def reader_options(self, dataset: str) -> dict[str, Any]:
        """Return what the reader of a data set takes beside its files."""
        settings = self.datasets[dataset]
        if settings.format == "h5ad":
            return {"layer": settings.layer}
        return {} if settings.blobs is None else settings.blobs.model_dump()

    def clusters_of(self, dataset: str) -> dict[str, Any]:
        """Return how a data set itself is clustered; genes are chosen if values are log counts."""
        settings = self.datasets[dataset]
        clusters = settings.clusters.model_dump()
        return clusters if settings.normalization == "log" else {**clusters, "n_top_genes": None}

    def training_file(self, dataset: str) -> str:
        """Return the file that models of a data set are trained on."""
        name = "preprocessed" if self.datasets[dataset].balance is None else "training"
        return f"results/data/{dataset}/{name}.h5ad"

    def sees_cell_types(self, model: str) -> bool:
        """Return whether a model sees the cell types of cells that it is scored on."""
        settings = self.models[model]
        conditioned = settings.hyperparameters.conditional and settings.condition == "cell_type"
        supervision = settings.supervision
        return conditioned or (supervision is not None and supervision.labels == "cell_type")

    # ---- Trainings

    def settings_of_training(self, model: str) -> dict[str, Any]:
        """Return what a model and its training are made of, as JSON values."""
        settings = self.models[model]
        training = settings.training.model_dump(exclude=set(Phase.model_fields))
        share = None if settings.supervision is None else settings.supervision.share
        return {
            **settings.model_dump(include={"family", "hyperparameters", "input"}),
            "training": training,
            "share": share,
        }

    def visible_labels(self, dataset: str, model: str) -> VisibleLabels:
        """Return which labels the training of a model on a data set sees."""
        settings = self.models[model]
        condition = settings.condition if settings.hyperparameters.conditional else None
        if settings.supervision is None:
            return VisibleLabels(condition, None, None)
        return VisibleLabels(
            condition, settings.supervision.labels, settings.supervision.dataset or dataset
        )

    def label_files(self, dataset: str, model: str) -> dict[str, str]:
        """Return the files of labels that a training reads beside those of its data set."""
        seen = self.visible_labels(dataset, model)
        files = {}
        if seen.labelled is not None and seen.labels == "louvain":
            files["clusters"] = f"results/data/{seen.labelled}/clusters.tsv"
        if seen.labelled is not None and seen.labelled != dataset:
            files["labelled"] = self.training_file(seen.labelled)
            files["labelled_split"] = f"results/data/{seen.labelled}/preprocessed.h5ad"
        return files

    # ---- Studies

    def models_and_floors(self, study: str) -> list[str]:
        """Return the models of a study, then the floors that are none of them."""
        return [*self.study(study).models, *self.added[study]]

    def clustered_datasets(self, study: str) -> list[str]:
        """Return the data sets of a study whose latents are clustered."""
        settings = self.study(study)
        return settings.datasets if "clustering" in settings.evaluations else []

    def generative_models(self, study: str) -> list[str]:
        """Return the models of a study from which cells can be drawn."""
        return [
            name
            for name in self.study(study).models
            if self.models[name].hyperparameters.generative
        ]

    def drawing_models(self, study: str) -> list[str]:
        """Return the models of a study from which the study draws cells."""
        asked = "generation" in self.study(study).evaluations
        return self.generative_models(study) if asked else []

    def models_without_prior(self, study: str) -> list[tuple[str, str]]:
        """Return each data set and model of a study of drawn cells whose model has no prior."""
        settings = self.study(study)
        if "generation" not in settings.evaluations:
            return []
        models = [
            name for name in settings.models if not self.models[name].hyperparameters.generative
        ]
        return [(dataset, model) for dataset in settings.datasets for model in models]

    def held_out_by_type(self, study: str, dataset: str) -> list[str]:
        """Return the data sets that hold out treated cells of one type, a data set per type."""
        return [
            name_without_treated(dataset, cell_type)
            for cell_type in self.study(study).perturbation.cell_types
        ]

    def perturbed_datasets(self, study: str) -> list[str]:
        """Return the data sets of a study's predictions: held out, then in sample."""
        settings = self.study(study)
        if "perturbation" not in settings.evaluations:
            return []
        held_out = [
            name for dataset in settings.datasets for name in self.held_out_by_type(study, dataset)
        ]
        return [*held_out, *(settings.datasets if settings.perturbation.in_sample else [])]

    def components_of(self, study: str) -> dict[str, int]:
        """Return the number of components of each mixture of a study."""
        components = {}
        for name in self.study(study).models:
            hyperparameters = self.models[name].hyperparameters
            if isinstance(hyperparameters, MixtureHyperparameters):
                components[name] = hyperparameters.n_components
        return components

    def components_above(self, study: str, floor: str) -> list[int]:
        """Return the numbers of components of the mixtures of a study whose floor a model is."""
        components = self.components_of(study)
        return sorted({n for name, n in components.items() if self.floors[study][name] == floor})

    def incomparable(self, dataset: str, model: str) -> str:
        """Return why drawn cells are in other units than the real ones; empty if they are not."""
        settings = self.datasets[dataset]
        standardized = settings.balance is not None and settings.balance.standardize
        if settings.scale is not None or standardized:
            return (
                "the data set is scaled, and drawn cells with it; "
                "scale by the model's input instead"
            )
        if self.models[model].explains_counts and settings.normalization != "log":
            return (
                "the model draws counts, but the values of the data set are no logarithms of counts"
            )
        return ""

    def exports_of(self, study: str) -> list[str]:
        """Return the files of a study for other programs: its tables and its clustered cells."""
        names = [f"{table}.parquet" for table in COLLECTED]
        names += [f"{dataset}.h5ad" for dataset in self.clustered_datasets(study)]
        return [f"results/studies/{study}/exports/{name}" for name in names]

    def drawn_pairs(self, study: str) -> list[tuple[str, str]]:
        """Return each data set and model from which a study draws cells."""
        models = self.drawing_models(study)
        return [(dataset, model) for dataset in self.study(study).datasets for model in models]

    def predicting_pairs(self, study: str) -> list[tuple[str, str | None]]:
        """Return each data set and predictor of treated cells; None for those without a model."""
        datasets = self.perturbed_datasets(study)
        models = self.study(study).models
        without_model = [(dataset, None) for dataset in datasets]
        return [*without_model, *((dataset, model) for dataset in datasets for model in models)]

    # ---- Trainings of a study

    def clustered_runs(self, study: str) -> list[Run]:
        """Return the trainings whose latents a study clusters, those of floors included."""
        return self._runs(study, self.clustered_datasets(study), self.models_and_floors(study))

    def drawn_runs(self, study: str) -> list[Run]:
        """Return the trainings from which a study draws cells."""
        return self._runs(study, self.study(study).datasets, self.drawing_models(study))

    def predicting_runs(self, study: str) -> list[Run]:
        """Return the trainings by which a study predicts treated cells."""
        return self._runs(study, self.perturbed_datasets(study), self.study(study).models)

    def drawn_or_predicting_runs(self, study: str) -> list[Run]:
        """Return the trainings that a study draws cells from or predicts treated cells with."""
        return unique([*self.drawn_runs(study), *self.predicting_runs(study)])

    def runs_of(self, study: str) -> list[Run]:
        """Return every training that a study rests on."""
        return unique([*self.clustered_runs(study), *self.drawn_or_predicting_runs(study)])

    def _runs(self, study: str, datasets: list[str], models: list[str]) -> list[Run]:
        seeds = self.study(study).seeds
        return [Run(d, m, s) for d in datasets for m in models for s in seeds]

    # ---- Titles

    def title_of_model(self, name: str) -> str:
        """Return what to call a model; the title says if it sees the cell types it is scored by."""
        title = self.models[name].title
        return f"{title} (sees cell types)" if self.sees_cell_types(name) else title

    def titles_of_models(self, study: str) -> dict[str, str]:
        """Return the titles of a study's models and of the floors that it adds, by name."""
        return {name: self.title_of_model(name) for name in self.models_and_floors(study)}

    def titles_without_floors(self, study: str) -> dict[str, str]:
        """Return the titles of a study's own models, by name."""
        return {name: self.title_of_model(name) for name in self.study(study).models}

    def titles_of_datasets(self, study: str) -> dict[str, str]:
        """Return the titles of a study's data sets; a title says if labels are no annotation."""
        titles = {}
        for name in self.study(study).datasets:
            dataset = self.config.datasets[name]
            derived = " (derived labels)" if dataset.labels == "derived" else ""
            titles[name] = f"{dataset.title}{derived}"
        return titles

    # ---- Predicted treated cells

    def predicted(self, study: str) -> list[Predicted]:
        """Return what a study predicts of treated cells.

        In sample, a prediction needs a model that sees the condition. Held out, the predictors
        without a model take part, and so do the models that see no condition, by arithmetic in
        their latent.
        """
        settings = self.study(study)
        if "perturbation" not in settings.evaluations:
            return []
        predictors: dict[Split, list[str | None]] = {"held_out": [], "in_sample": []}
        for name in settings.models:
            conditional = self.models[name].hyperparameters.conditional
            sees_treatment = conditional and self.models[name].condition == "condition"
            if sees_treatment and settings.perturbation.in_sample:
                predictors["in_sample"].append(name)
            if sees_treatment or not conditional:
                predictors["held_out"].append(name)
        if settings.perturbation.cell_types:
            predictors["held_out"].insert(0, None)
        else:
            predictors["held_out"].clear()
        return [
            Predicted(split, dataset, model)
            for dataset in settings.datasets
            for split in predictors
            for model in predictors[split]
        ]

    def title_of_prediction(self, study: str, predicted: Predicted) -> str:
        """Return what to call a prediction of treated cells."""
        dataset = self.titles_of_datasets(study)[predicted.dataset]
        by = "without a model" if predicted.model is None else self.title_of_model(predicted.model)
        return f"{dataset}, {predicted.split.replace('_', ' ')}: {by}"

    # ---- The run: all studies that are made

    @cached_property
    def runs(self) -> list[Run]:
        """Every training that the studies of the run rest on."""
        return unique([run for study in self.config.run for run in self.runs_of(study)])

    @cached_property
    def datasets_of_run(self) -> list[str]:
        """The data sets that models of the run are scored on."""
        names = []
        for study in self.config.run:
            if set(self.study(study).evaluations) != {"perturbation"}:
                names += self.study(study).datasets
            names += self.perturbed_datasets(study)
        return unique(names)

    def described_datasets(self) -> dict[str, dict[str, Any]]:
        """Return what the report says of each of `datasets_of_run`, by name."""
        keys = {
            "title",
            "labels",
            "normalization",
            "target_sum",
            "n_top_genes",
            "scale",
            "balance",
        }
        return {name: self.datasets[name].model_dump(include=keys) for name in self.datasets_of_run}

    def described_sources(self) -> dict[str, dict[str, str]]:
        """Return the titles of the table's data sets that the run reads, by name."""
        names = unique([self.table_entry(name) for name in self.datasets_of_run])
        return {name: {"title": self.config.datasets[name].title} for name in names}

    def described_models(self) -> dict[str, dict[str, Any]]:
        """Return what the report says of each trained model of the run, by name."""
        trained = {run.model for run in self.runs}
        described: dict[str, dict[str, Any]] = {}
        for study in self.config.run:
            study_floors = {*self.added[study], *self.floors[study].values()}
            for name, title in self.titles_of_models(study).items():
                if name not in trained:
                    continue
                model = self.models[name]
                known_floor = described.get(name, {}).get("floor", False)
                described[name] = {
                    "title": title,
                    "family": model.family,
                    "condition": model.condition
                    if self.models[name].hyperparameters.conditional
                    else None,
                    "supervision": model.supervision and model.supervision.model_dump(),
                    "floor": name in study_floors or known_floor,
                }
        return described

    def described_studies(self) -> dict[str, dict[str, Any]]:
        """Return what the report says of each study of the run, by name."""
        return {
            name: {
                "title": self.study(name).title,
                "n_seeds": len(self.study(name).seeds),
                "datasets": self.titles_of_datasets(name),
                "models": self.titles_of_models(name),
            }
            for name in self.config.run
        }

    def conditions_of_models(self) -> dict[str, str | None]:
        """Return the condition that each trained model of the run sees, None if it sees none."""
        return {name: model["condition"] for name, model in self.described_models().items()}

    def preparations(self) -> dict[str, list[str]]:
        """Return the jobs before training that the run rests on: names by rule."""
        label_datasets, clustered = [], []
        for dataset, model in sorted({(run.dataset, run.model) for run in self.runs}):
            seen = self.visible_labels(dataset, model)
            if seen.labelled is not None and self.label_files(dataset, model):
                label_datasets.append(seen.labelled)
                clustered += [seen.labelled] if seen.labels == "louvain" else []
        data = unique([*self.datasets_of_run, *label_datasets])
        sources = unique([self.table_entry(name) for name in data])
        balanced = {
            name: balance.by
            for name in data
            if (balance := self.datasets[name].balance) is not None
        }
        clustered += [name for name, by in balanced.items() if by == "louvain"]
        files = [file for name in sources for file in self.datasets[name].files.values()]
        return {
            "fetch": unique([file.name for file in files if file.name is not None]),
            "ingest": sources,
            "preprocess": data,
            "cluster_data": unique(clustered),
            "balance": list(balanced),
            "perturb_data": unique(
                [name for study in self.config.run for name in self.perturbed_datasets(study)]
            ),
        }

    def studies_of_paper(self, studies: list[str]) -> dict[str, dict[str, Any]]:
        """Return what the paper calls studies, their data sets and their models, by name."""
        return {
            study: {
                "title": self.study(study).title,
                "datasets": self.titles_of_datasets(study),
                "models": self.titles_of_models(study),
            }
            for study in studies
        }

    def quality_control_of_run(self) -> dict[str, str]:
        """Return the table of quality control of each data set of the table that the run reads."""
        tables: dict[str, str] = {}
        for name in self.datasets_of_run:
            tables.setdefault(self.table_entry(name), f"results/data/{name}/qc.tsv")
        return tables


def unique(values: list[T]) -> list[T]:
    """Return values without repetitions, in their order."""
    return list(dict.fromkeys(values))
