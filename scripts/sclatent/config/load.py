"""The typed configuration: the one source of its checks, its defaults, its JSON schema and its reference table.

Sections are named things that refer to each other by name: data sets, models, studies. `load` turns the mapping that the
workflow read from its files into a `Config`, or raises UserError with one line for the first mistake.
"""

import itertools
from typing import Literal

from pydantic import Field, ValidationError

from sclatent.common.errors import CONTROL, UserError
from sclatent.config.base import Name, Section
from sclatent.config.datasets import Dataset, File, differing_units, labels_of, without_treated
from sclatent.config.messages import SHORT, check_reference, one_line, texts
from sclatent.config.models import Model
from sclatent.config.studies import Study
from sclatent.families.base import explains_counts
from sclatent.families.registry import hyperparameters_class


class Config(Section):
    """The whole configuration."""

    run: list[Name] = Field(min_length=1, description="studies that a plain run makes")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="where models run; auto: on a GPU where the job was given one, and on the processor where not",
    )
    threads: int = Field(
        1,
        ge=1,
        description="threads of each numerical job; results are bit-identical at equal threads",
    )
    data_directories: list[str] = Field(
        ["data"],
        min_length=1,
        description="folders where files are looked for; downloads are kept in the first, which is data, a folder in it, or one "
        "that SCLATENT_DATA names, too",
    )
    datasets: dict[Name, Dataset] = Field(description="data sets by name")
    models: dict[Name, Model] = Field(description="models by name")
    studies: dict[Name, Study] = Field(description="studies by name")


def load(raw: dict) -> Config:
    """Check a configuration and return it with every default filled in. Raises UserError with one line for the first mistake."""
    for where, text in texts(raw):
        if CONTROL.search(text):
            raise UserError(
                f"configuration: '{where}' has {SHORT.repr(text)}, which holds a line break or another control character; "
                "write it on one line, without"
            )
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise UserError(one_line(error, Config)) from error
    models = {name: complete(name, model) for name, model in config.models.items()}
    config = config.model_copy(update={"models": models})
    published = published_files(config)
    for name, dataset in config.datasets.items():
        for role, file in dataset.files.items():
            if file.name and file != published[file.name]:
                raise UserError(
                    f"configuration: datasets.{name}.files.{role} says other things of '{file.name}' than another data set does; "
                    "make them agree, or give them different names"
                )
    for name in config.run:
        check_reference("run", name, config.studies)
    for name, study in config.studies.items():
        for kind in ("datasets", "models", "seeds"):
            entries = getattr(study, kind)
            if repeated := {entry for entry in entries if entries.count(entry) > 1}:
                raise UserError(
                    f"configuration: studies.{name}.{kind} names {sorted(repeated)[0]!r} twice; name it once"
                )
        for dataset in study.datasets:
            check_reference(f"studies.{name}.datasets", dataset, config.datasets)
            if study.split == "held_out" and not config.datasets[dataset].holds_out:
                raise UserError(
                    f"configuration: studies.{name}.split is held_out, but data set '{dataset}' holds out no cells; "
                    "give it a holdout, or leave split out"
                )
        if "perturbation" in study.evaluations:
            _check_perturbation(name, study, config)
        for model in study.models:
            check_reference(f"studies.{name}.models", model, config.models)
            for dataset in study.datasets:
                _check_labels(name, dataset, model, config)
    held_out_datasets(config)
    return config


def held_out_datasets(config: Config) -> dict[str, Dataset]:
    """Return, by name, the data sets that studies of perturbations need beside those of the table: one a cell type held out.

    Raises UserError where two cell types would have one name.
    """
    found: dict[str, Dataset] = {}
    for study in config.studies.values():
        if "perturbation" not in study.evaluations:
            continue
        for dataset, cell_type in itertools.product(study.datasets, study.perturbation.cell_types):
            name, settings = without_treated(dataset, config.datasets[dataset], cell_type)
            if found.setdefault(name, settings).holdout != settings.holdout:
                other = found[name].holdout.treated[0]
                raise UserError(
                    f"configuration: perturbation.cell_types of '{dataset}': '{other}' and '{cell_type}' differ by no letter "
                    "or figure, which names of files need; rename one in the data"
                )
    return found


def published_files(config: Config) -> dict[str, File]:
    """Return the files of all data sets that fetching brings here, by name."""
    return {
        file.name: file
        for dataset in config.datasets.values()
        for file in dataset.files.values()
        if file.name
    }


def _check_perturbation(name: str, study: Study, config: Config) -> None:
    """Refuse studies of perturbations on data without a control, or whose values or held-out cells do not suit them."""
    where = f"configuration: studies.{name}.evaluations names perturbation, but"
    for dataset in study.datasets:
        settings = config.datasets[dataset]
        if not settings.has_treatment:
            raise UserError(
                f"{where} data set '{dataset}' has no control; name columns.condition and control, or leave it out"
            )
        if settings.scale is not None or settings.balance is not None:
            raise UserError(
                f"{where} data set '{dataset}' is scaled or balanced; scale by the models' input instead"
            )
        if settings.holdout is not None and (settings.holdout.cells or settings.holdout.treated):
            raise UserError(
                f"{where} data set '{dataset}' holds out cells by label; perturbation.cell_types does that in turn"
            )
        if settings.labels == "derived" and study.perturbation.cell_types:
            raise UserError(
                f"{where} cell types of data set '{dataset}' are derived after cells are held out; "
                "leave perturbation.cell_types out"
            )
        for model in study.models:
            if (
                explains_counts(config.models[model].hyperparameters)
                and settings.normalization != "log"
            ):
                raise UserError(
                    f"{where} model '{model}' predicts counts, and '{dataset}' has no logarithms of them"
                )
    if not study.perturbation.cell_types and not study.perturbation.in_sample:
        raise UserError(
            f"{where} perturbation.cell_types is empty and in_sample false; give cell types, or let in_sample be true"
        )


def _check_labels(study: str, dataset: str, model: str, config: Config) -> None:
    """Refuse models that see labels which a data set has not, or which are clusters of cells held out, too."""
    settings = config.models[model]
    conditional = hyperparameters_class(settings.family).conditional
    seen = [(dataset, settings.condition)] if conditional else []
    if settings.supervision is not None:
        labelled = settings.supervision.dataset or dataset
        check_reference(f"models.{model}.supervision.dataset", labelled, config.datasets)
        if differing := differing_units(config.datasets[labelled], config.datasets[dataset]):
            raise UserError(
                f"configuration: studies.{study}: model '{model}' sees labelled cells of '{labelled}', whose {differing} is not "
                f"that of '{dataset}'; make them agree, so that values have one unit"
            )
        seen += [(labelled, settings.condition)] if conditional else []
        seen += [(labelled, "cell_type")] if settings.supervision.labels == "cell_type" else []
    for name, label in seen:
        where = f"configuration: studies.{study}: model '{model}' is told the {label} of each cell"
        if label not in labels_of(config.datasets[name]):
            raise UserError(
                f"{where}, which data set '{name}' does not have; choose another of the two, or name its column"
            )
        if label == "cell_type" and config.datasets[name].labels == "derived":
            raise UserError(
                f"{where}, but those of '{name}' are derived from all cells, held out or not; use labels: louvain"
            )


def complete(name: str, model: Model) -> Model:
    """Return the model with the hyper-parameters of its family checked and completed."""
    where = f"models.{name}"
    try:
        family = hyperparameters_class(model.family)
    except UserError as error:
        raise UserError(f"configuration: {where}.family: {error}") from error
    try:
        complete = family.model_validate(model.hyperparameters)
    except ValidationError as error:
        raise UserError(one_line(error, family, f"{where}.hyperparameters")) from error
    if getattr(complete, "batch_norm", False) and model.training.batch_size == 1:
        raise UserError(
            f"configuration: {where}.training.batch_size is 1, but batch normalisation needs 2 cells or more"
        )
    training = model.training.with_phases()
    objectives = {phase.objective for phase in training.phases}
    if objectives != {"unsupervised"} and not family.mixture:
        raise UserError(
            f"configuration: {where}.training: objective {min(objectives - {'unsupervised'})} is for families with components, "
            f"which {model.family} has not"
        )
    if (model.supervision is not None) != bool(objectives & {"supervised", "semi_supervised"}):
        raise UserError(
            f"configuration: {where}: supervision, which names the labels, and a phase with the objective supervised or "
            "semi_supervised, which uses them, go together"
        )
    return model.model_copy(update={"hyperparameters": complete.model_dump(), "training": training})
