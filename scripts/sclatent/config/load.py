"""The typed configuration: the one source of its checks, defaults, JSON schema and reference.

Data sets, models and studies are named, and refer to each other by name. `load` turns the mapping
that Snakemake read from the files into a `Config`.
"""

import itertools
from typing import Literal

from pydantic import Field, ValidationError

from sclatent.common.errors import CONTROL, UserError
from sclatent.config.base import Name, Section
from sclatent.config.datasets import Dataset, File, name_without_treated
from sclatent.config.extends import resolve_extends
from sclatent.config.messages import SHORT, check_reference, one_line, texts
from sclatent.config.models import Model
from sclatent.config.studies import Study


class Config(Section):
    """The whole configuration."""

    run: list[Name] = Field(min_length=1, description="studies that `snakemake` runs")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="where models run. auto: on a GPU if the job has one, else on the processor",
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="threads per numerical job; with the same number, results are bit-identical",
    )
    data_directories: list[str] = Field(
        default=["data"],
        min_length=1,
        description="folders with data files. Downloads are kept in the first one, which must be "
        "data, a folder inside data, or one that SCLATENT_DATA names",
    )
    datasets: dict[Name, Dataset] = Field(description="data sets by name")
    models: dict[Name, Model] = Field(description="models by name")
    studies: dict[Name, Study] = Field(description="studies by name")


def load(raw: dict) -> Config:
    """Check a configuration and fill in every default.

    Parameters
    ----------
    raw : dict
        The configuration as Snakemake merged it from its files.

    Returns
    -------
    Config
        The effective configuration. Entries that extend others have all settings themselves.

    Raises
    ------
    UserError
        If something is wrong; one line describes the first mistake.
    """
    for where, text in texts(raw):
        if CONTROL.search(text):
            raise UserError(
                f"configuration: '{where}' has {SHORT.repr(text)}, which holds a line break or "
                "another control character; write it on one line, without"
            )
    resolved = resolve_extends(raw)
    try:
        config = Config.model_validate(resolved)
    except ValidationError as error:
        raise UserError(one_line(error, Config, resolved)) from error
    _check_references(config)
    _check_files_agree(config)
    for name, study in config.studies.items():
        _check_study(name, study, config)
        if "perturbation" in study.evaluations:
            _check_perturbation(name, study, config)
        for model, dataset in itertools.product(study.models, study.datasets):
            _check_labels(name, dataset, model, config)
    held_out_datasets(config)
    return config


def held_out_datasets(config: Config) -> dict[str, Dataset]:
    """Return the data sets that studies of perturbations need beside those of the table.

    Parameters
    ----------
    config : Config
        The whole configuration.

    Returns
    -------
    dict
        Data sets by name, one per data set and cell type to predict, without its treated cells.

    Raises
    ------
    UserError
        If two cell types of a data set would have one name.
    """
    held_out: dict[str, Dataset] = {}
    cell_type_of: dict[str, str] = {}
    for study in config.studies.values():
        if "perturbation" not in study.evaluations:
            continue
        for dataset, cell_type in itertools.product(study.datasets, study.perturbation.cell_types):
            name = name_without_treated(dataset, cell_type)
            other = cell_type_of.setdefault(name, cell_type)
            if other != cell_type:
                raise UserError(
                    f"configuration: perturbation.cell_types of '{dataset}': '{other}' and "
                    f"'{cell_type}' differ by no letter or figure, which names of files need; "
                    "rename one in the data"
                )
            held_out[name] = config.datasets[dataset].without_treated(cell_type)
    return held_out


def published_files(config: Config) -> dict[str, File]:
    """Return the published files of all data sets, by name."""
    return {
        file.name: file
        for dataset in config.datasets.values()
        for file in dataset.files.values()
        if file.name
    }


def _check_references(config: Config) -> None:
    """Refuse names that are not defined, before anything looks them up.

    A model of no study can name a data set that is not defined.
    """
    for name in config.run:
        check_reference("run", name, config.studies)
    for name, study in config.studies.items():
        for dataset in study.datasets:
            check_reference(f"studies.{name}.datasets", dataset, config.datasets)
        for model in study.models:
            check_reference(f"studies.{name}.models", model, config.models)
            supervision = config.models[model].supervision
            if supervision is not None and supervision.dataset is not None:
                where = f"models.{model}.supervision.dataset"
                check_reference(where, supervision.dataset, config.datasets)


def _check_files_agree(config: Config) -> None:
    """Refuse two data sets that describe one published file in different ways."""
    published = published_files(config)
    for name, dataset in config.datasets.items():
        for role, file in dataset.files.items():
            if file.name and file != published[file.name]:
                raise UserError(
                    f"configuration: datasets.{name}.files.{role} says other things of "
                    f"'{file.name}' than another data set does; make them agree, or give them "
                    "different names"
                )


def _check_study(name: str, study: Study, config: Config) -> None:
    """Refuse entries that are named twice, and a study of held-out cells if there are none."""
    for kind in ("datasets", "models", "seeds"):
        entries = getattr(study, kind)
        repeated = sorted(entry for entry in set(entries) if entries.count(entry) > 1)
        if repeated:
            raise UserError(
                f"configuration: studies.{name}.{kind} names {repeated[0]!r} twice; name it once"
            )
    for dataset in study.datasets:
        if study.cells == "held_out" and not config.datasets[dataset].holds_out:
            raise UserError(
                f"configuration: studies.{name}.cells is held_out, but data set '{dataset}' holds "
                "out no cells; give it a holdout, or leave cells out"
            )


def _check_perturbation(name: str, study: Study, config: Config) -> None:
    """Refuse a study of perturbations on data sets or with models that do not suit it."""
    where = f"configuration: studies.{name}.evaluations names perturbation, but"
    for dataset in study.datasets:
        settings = config.datasets[dataset]
        if not settings.has_treatment:
            raise UserError(
                f"{where} data set '{dataset}' has no control; name columns.condition and control, "
                "or leave it out"
            )
        if settings.scale is not None or settings.balance is not None:
            raise UserError(
                f"{where} data set '{dataset}' is scaled or balanced; scale by the models' input "
                "instead"
            )
        if settings.holdout is not None and (settings.holdout.cells or settings.holdout.treated):
            raise UserError(
                f"{where} data set '{dataset}' holds out cells by label; perturbation.cell_types "
                "does that in turn"
            )
        if settings.labels == "derived" and study.perturbation.cell_types:
            raise UserError(
                f"{where} cell types of data set '{dataset}' are derived after cells are held out; "
                "leave perturbation.cell_types out"
            )
        for model in study.models:
            if config.models[model].explains_counts and settings.normalization != "log":
                raise UserError(
                    f"{where} model '{model}' predicts counts, and '{dataset}' has no logarithms "
                    "of them"
                )
    if not study.perturbation.cell_types and not study.perturbation.in_sample:
        raise UserError(
            f"{where} perturbation.cell_types is empty and in_sample false; give cell types, or "
            "let in_sample be true"
        )


def _check_labels(study: str, dataset: str, model: str, config: Config) -> None:
    """Refuse a model that sees labels which a data set lacks, or which held-out cells influence."""
    settings = config.models[model]
    if settings.supervision is not None:
        labelled = settings.supervision.dataset or dataset
        differing = config.datasets[labelled].differing_unit(config.datasets[dataset])
        if differing is not None:
            raise UserError(
                f"configuration: studies.{study}: model '{model}' sees labelled cells of "
                f"'{labelled}', whose {differing} is not that of '{dataset}'; make them agree, so "
                "that values have one unit"
            )
    for name, label in settings.labels_seen(dataset):
        where = f"configuration: studies.{study}: model '{model}' sees the {label} of each cell"
        if label not in config.datasets[name].known_labels:
            raise UserError(
                f"{where}, which data set '{name}' does not have; choose another of the two, or "
                "name its column"
            )
        if label == "cell_type" and config.datasets[name].labels == "derived":
            raise UserError(
                f"{where}, but the cell types of '{name}' are derived from all cells, also from "
                "those held out; use labels: louvain"
            )
