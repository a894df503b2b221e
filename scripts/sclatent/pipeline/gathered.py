"""The files that rules gather: results of many jobs of a study, or of all studies of the run."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

from sclatent.pipeline.figures import FigurePlan
from sclatent.pipeline.plan import KEPT, Plan, Run

OF_DATASET = "results/studies/{study}/{dataset}"
OF_MODEL = OF_DATASET + "/{model}"
BENCHMARKS = "results/benchmarks"


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
    """

    def __init__(self, plan: Plan):
        self.plan = plan

    def of_clustered_datasets(self, study: str, name: str) -> list[str]:
        """Return a file per data set whose latents a study clusters."""
        datasets = self.plan.clustered_datasets(study)
        return filled(f"{OF_DATASET}/{name}", study=study, dataset=datasets)

    def of_clustered_models(self, study: str, name: str) -> list[str]:
        """Return a file per data set, model and floor whose latents a study clusters."""
        datasets, models = self.plan.clustered_datasets(study), self.plan.models_and_floors(study)
        return filled(f"{OF_MODEL}/{name}", study=study, dataset=datasets, model=models)

    def of_drawing_models(self, study: str, name: str) -> list[str]:
        """Return a file per data set and model of which a study draws cells."""
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

    def datasets_of_perturbation_scores(self, study: str) -> list[str]:
        """Return the data set of each of `perturbation_scores`."""
        datasets, models = self.plan.perturbed_datasets(study), self.plan.study(study).models
        return [*datasets, *(dataset for dataset in datasets for _ in models)]

    def absences(self, study: str) -> list[str]:
        """Return all tables of a study that say what does not apply."""
        datasets = self.plan.perturbed_datasets(study)
        return [
            *self.of_clustered_datasets(study, "absent.tsv"),
            *filled("results/data/{dataset}/baselines_absent.tsv", dataset=datasets),
            *self.of_predicting_models(study, "perturbation_absent.tsv"),
            *self.of_drawing_models(study, "generation_absent.tsv"),
        ]

    def benchmarks(self, study: str) -> list[str]:
        """Return time and memory of every job of a study, from training on."""
        plan = self.plan
        clustered, drawn = plan.clustered_datasets(study), plan.study(study).datasets
        predicted = plan.perturbed_datasets(study)
        drawing, models = plan.drawing_models(study), plan.study(study).models
        return [
            *_of_trainings(plan.clustered_runs(study)),
            *_of_models("encode", study, clustered, plan.models_and_floors(study)),
            *_of_models("cluster", study, clustered, plan.models_and_floors(study)),
            *_of_datasets("embed_umap", study, clustered),
            *_of_datasets("score", study, clustered),
            *_of_models("embed_tsne", study, clustered, models),
            *_of_trainings(
                run
                for run in plan.drawn_or_predicting_runs(study)
                if run not in plan.clustered_runs(study)
            ),
            *_of_models("generate", study, drawn, drawing),
            *_of_datasets("embed_drawn", study, drawn if drawing else []),
            *_of_models("perturb", study, predicted, models),
        ]

    def scores_of_run(self) -> list[str]:
        """Return all tables of scores of the run, of clusters and then of predictions."""
        studies = self.plan.config.run
        clustered = [self.of_clustered_datasets(study, "scores.tsv") for study in studies]
        predicted = [self.perturbation_scores(study) for study in studies]
        return _unique(path for paths in [*clustered, *predicted] for path in paths)

    def benchmarks_of_run(self) -> list[str]:
        """Return time and memory of every job that the report rests on."""
        figures = FigurePlan(self.plan)
        paths = []
        for rule, names in self.plan.preparations().items():
            paths += [f"{BENCHMARKS}/{rule}/{name}.tsv" for name in names]
        paths += [f"{BENCHMARKS}/collect/{study}.tsv" for study in self.plan.config.run]
        for study in self.plan.config.run:
            for figure, subject in figures.figures_of(study):
                paths.append(f"{BENCHMARKS}/figures/{study}/{figure}/{subject}.tsv")
        for study in self.plan.config.run:
            paths += self.benchmarks(study)
        return _unique(paths)

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


def _of_trainings(runs: Iterable[Run]) -> list[str]:
    return [f"{BENCHMARKS}/train/{run.dataset}/{run.model}/{run.seed}.tsv" for run in runs]


def _of_models(rule: str, study: str, datasets: list[str], models: list[str]) -> list[str]:
    return [
        f"{BENCHMARKS}/{rule}/{study}/{dataset}/{model}.tsv"
        for dataset in datasets
        for model in models
    ]


def _of_datasets(rule: str, study: str, datasets: list[str]) -> list[str]:
    return [f"{BENCHMARKS}/{rule}/{study}/{dataset}.tsv" for dataset in datasets]


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))
