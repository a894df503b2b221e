"""The files that rules gather: results of many jobs of a study, or of all studies of the run."""

from collections.abc import Iterable
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import NamedTuple

from sclatent.pipeline.figures import FigurePlan
from sclatent.pipeline.plan import KEPT, Plan, Run, unique

OF_DATASET = "results/studies/{study}/{dataset}"
OF_MODEL = OF_DATASET + "/{model}"
BENCHMARKS = "results/benchmarks"


class Job(NamedTuple):
    """A job of a study; model and seed are None if the job takes all models or all seeds."""

    rule: str
    dataset: str
    model: str | None = None
    seed: int | None = None

    def benchmark(self, study: str) -> str:
        """Return the file with the time and memory of the job."""
        if self.rule == "train":
            return f"{BENCHMARKS}/train/{self.dataset}/{self.model}/{self.seed}.tsv"
        parts = [self.rule, study, self.dataset, *([] if self.model is None else [self.model])]
        return f"{BENCHMARKS}/{'/'.join(parts)}.tsv"


def filled(pattern: str, **values: str | Iterable[str]) -> list[str]:
    """Return a path pattern filled with all combinations of values by name, the last fastest."""
    lists = {name: [v] if isinstance(v, str) else list(v) for name, v in values.items()}
    combinations = product(*lists.values())
    return [pattern.format(**dict(zip(lists, some, strict=True))) for some in combinations]


class Gathered:
    """The files of a plan that rules gather; the order of the files is that of the plan.

    Parameters
    ----------
    plan
        What the rules compute from the configuration.
    figures
        The same for figures.
    """

    def __init__(self, plan: Plan, figures: FigurePlan):
        self.plan, self.figures = plan, figures

    def of_clustered_datasets(self, study: str, name: str) -> list[str]:
        """Return a file per data set whose latents a study clusters."""
        datasets = self.plan.clustered_datasets(study)
        return filled(f"{OF_DATASET}/{name}", study=study, dataset=datasets)

    def of_clustered_models(self, study: str, name: str) -> list[str]:
        """Return a file per data set, model and floor whose latents a study clusters."""
        datasets, models = self.plan.clustered_datasets(study), self.plan.models_and_floors(study)
        return filled(f"{OF_MODEL}/{name}", study=study, dataset=datasets, model=models)

    def of_drawing_models(self, study: str, name: str) -> list[str]:
        """Return a file per data set and model from which a study draws cells."""
        datasets, models = self.plan.study(study).datasets, self.plan.drawing_models(study)
        return filled(f"{OF_MODEL}/{name}", study=study, dataset=datasets, model=models)

    def of_predicting_models(self, study: str, name: str) -> list[str]:
        """Return a file per data set and model by which a study predicts treated cells."""
        datasets, models = self.plan.perturbed_datasets(study), self.plan.study(study).models
        return filled(f"{OF_MODEL}/{name}", study=study, dataset=datasets, model=models)

    def perturbation_scores(self, study: str) -> list[str]:
        """Return all scored predictions of a study, those without a model first."""
        datasets = self.plan.perturbed_datasets(study)
        baselines = filled("results/data/{dataset}/baselines.tsv", dataset=datasets)
        return baselines + self.of_predicting_models(study, "perturbation.tsv")

    def absences(self, study: str) -> list[str]:
        """Return all tables of a study that say what does not apply."""
        datasets = self.plan.perturbed_datasets(study)
        return [
            *self.of_clustered_datasets(study, "absent.tsv"),
            *filled("results/data/{dataset}/baselines_absent.tsv", dataset=datasets),
            *self.of_predicting_models(study, "perturbation_absent.tsv"),
            *self.of_drawing_models(study, "generation_absent.tsv"),
        ]

    def jobs(self, study: str) -> list[Job]:
        """Return every job of a study, from training on."""
        plan = self.plan
        clustered, drawn = plan.clustered_datasets(study), plan.study(study).datasets
        predicted = plan.perturbed_datasets(study)
        drawing, models = plan.drawing_models(study), plan.study(study).models
        floors_too = plan.models_and_floors(study)
        jobs = [
            *_trainings(plan.clustered_runs(study)),
            *_per_model("encode", clustered, floors_too),
            *_per_model("cluster", clustered, floors_too),
            *_per_dataset("embed_umap", clustered),
            *_per_dataset("score", clustered),
            *_per_model("embed_tsne", clustered, models),
            *_trainings(plan.drawn_or_predicting_runs(study)),
            *_per_model("generate", drawn, drawing),
            *_per_dataset("embed_drawn", drawn if drawing else []),
            *_per_model("perturb", predicted, models),
        ]
        return unique(jobs)

    def benchmarks(self, study: str) -> list[str]:
        """Return the file with time and memory of each of `jobs`."""
        return [job.benchmark(study) for job in self.jobs(study)]

    def scores_of_run(self) -> list[str]:
        """Return all tables of scores of the run, of clusters and then of predictions."""
        studies = self.plan.config.run
        clustered = [self.of_clustered_datasets(study, "scores.tsv") for study in studies]
        predicted = [self.perturbation_scores(study) for study in studies]
        return unique([path for paths in [*clustered, *predicted] for path in paths])

    @cached_property
    def benchmarks_of_run(self) -> dict[str, str]:
        """The rule of every job that the report rests on, by the file of its benchmark."""
        rules = {}
        for rule, names in self.plan.preparations().items():
            rules |= {f"{BENCHMARKS}/{rule}/{name}.tsv": rule for name in names}
        for study in self.plan.config.run:
            rules[f"{BENCHMARKS}/collect/{study}.tsv"] = "collect"
        for study in self.plan.config.run:
            for figure, subject in self.figures.figures_of(study):
                rules[f"{BENCHMARKS}/figures/{study}/{figure}/{subject}.tsv"] = "figures"
        for study in self.plan.config.run:
            rules |= {job.benchmark(study): job.rule for job in self.jobs(study)}
        return rules

    def kept_tables(self, study: str) -> list[str]:
        """Return the tables of a study that are kept in the repository."""
        return [f"results/reference/{study}/{table}.tsv" for table in KEPT]

    def kept_studies(self, base: Path) -> list[str]:
        """Return the studies of the run all of whose tables are kept in a clone of the project."""
        return [
            study
            for study in self.plan.config.run
            if all((base / table).exists() for table in self.kept_tables(study))
        ]


def _trainings(runs: Iterable[Run]) -> list[Job]:
    return [Job("train", run.dataset, run.model, run.seed) for run in runs]


def _per_model(rule: str, datasets: list[str], models: list[str]) -> list[Job]:
    return [Job(rule, dataset, model) for dataset in datasets for model in models]


def _per_dataset(rule: str, datasets: list[str]) -> list[Job]:
    return [Job(rule, dataset) for dataset in datasets]
