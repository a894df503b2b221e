"""The typed configuration: the one source of its checks, its defaults, its JSON schema and its reference table.

Sections are named things that refer to each other by name: data sets, models, studies. `load` turns the mapping that the
workflow read from its files into a `Config`, or raises UserError with one line for the first mistake.
"""

import itertools
import re
import reprlib
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from sclatent.common.errors import CONTROL, UserError, nearest
from sclatent.config.base import Name, Section, Title
from sclatent.config.datasets import Dataset, File, differing_units, labels_of, without_treated
from sclatent.families.base import explains_counts
from sclatent.families.registry import hyperparameters_class

WIDE = 50  # components of the PCA that stands beside all models
SHORT = reprlib.Repr()  # of what a message quotes: aliases in a file can make it huge
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 200, 200
Objective = Literal["unsupervised", "pretraining", "supervised", "semi_supervised"]


class Input(Section):
    """What models are given in place of normalised values; means, deviations and axes are those of training cells."""

    scale: bool = Field(
        False, description="z-scores: each gene less its mean, by its standard deviation"
    )
    max_value: float | None = Field(
        None, gt=0, description="clip to at most this far from zero, after scaling"
    )
    n_pcs: int | None = Field(
        None, ge=1, description="principal components in place of genes; genes where left out"
    )
    mask: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of the genes that each step hides from the encoder, to denoise",
    )


class Supervision(Section):
    """Cells whose labels a training sees, for phases with the objective supervised or semi_supervised."""

    labels: Literal["cell_type", "louvain"] = Field(
        description="their cell types, or Louvain clusters of the data set's training cells, which use no label"
    )
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the cells whose label is seen, drawn at random by the seed",
    )
    dataset: Name | None = Field(
        None,
        description="data set of the labelled cells; the one that is trained on where left out",
    )


class Phase(Section):
    """A part of a training with an optimiser of its own; what it leaves out it has from the training."""

    epochs: int | None = Field(None, ge=1, description="passes over the cells")
    learning_rate: float | None = Field(None, gt=0, description="the optimiser's step size")
    weight_decay: float | None = Field(None, ge=0, description="weight decay")
    objective: Objective | None = Field(None, description="what is minimised")


class Training(Section):
    """How a model is trained."""

    epochs: int = Field(200, ge=1, description="passes over the cells")
    learning_rate: float = Field(1e-3, gt=0, description="the optimiser's step size")
    objective: Objective = Field(
        "unsupervised",
        description="what is minimised: the loss of cells without labels; pretraining: that of a plain VAE, after which k-means "
        "places the components; supervised: that of labelled cells; semi_supervised: that of both in each step",
    )
    phases: list[Phase] = Field(
        [], description="parts of the training, one after the other; a single one where left out"
    )
    batch_size: int = Field(
        256, ge=1, description="cells a step; the last step of an epoch takes what is left"
    )
    optimizer: Literal["adam", "adamw"] = Field(
        "adam", description="adam, or adamw with its decoupled weight decay"
    )
    weight_decay: float = Field(0, ge=0, description="weight decay")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="course of the step size in each phase"
    )
    warmup: float = Field(
        0, ge=0, lt=1, description="share of each phase over which the step size rises from 0"
    )
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of the gradient, to which larger ones are scaled down"
    )
    validation: float = Field(
        0, ge=0, lt=1, description="share of the training cells on which the loss is only watched"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="end a phase after as many epochs without a lower loss on validation cells, and keep the best weights",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="bf16: matrix products in bfloat16, where the processor has instructions for them; elsewhere fp32",
    )

    @model_validator(mode="after")
    def _watches_something(self):
        if self.patience is not None and not self.validation:
            raise ValueError("patience needs validation, the share of the cells that it watches")
        return self

    def with_phases(self) -> "Training":
        """Return the training with every phase written out."""
        own = self.model_dump(include=set(Phase.model_fields))
        phases = [
            Phase(**{**own, **phase.model_dump(exclude_none=True)})
            for phase in self.phases or [Phase()]
        ]
        return self.model_copy(update={"phases": phases})


class Model(Section):
    """A named variant of a model family."""

    title: Title = Field(description="name shown in figures and tables")
    family: str = Field(description="file of the family in scripts/sclatent/models, without .py")
    hyperparameters: dict[str, Any] = Field(
        {}, description="those of the family; the rest keep their defaults"
    )
    input: Input = Field(Input(), description="what it is given")
    condition: Literal["condition", "batch", "cell_type"] = Field(
        "condition",
        description="the label that it is told of each cell, if its family is conditional",
    )
    supervision: Supervision | None = Field(
        None, description="labels that its training sees; none where left out"
    )
    training: Training = Field(
        Training(), description="how it is trained; without effect on closed-form families"
    )


class Embedding(Section):
    """Two- and three-dimensional maps of the latents."""

    perplexity: float = Field(40.0, gt=0, description="perplexity of t-SNE")
    max_iter: int = Field(1000, ge=250, description="iterations of t-SNE")
    n_neighbors: int = Field(15, ge=2, description="neighbours of UMAP")
    sample: bool = Field(
        False,
        description="2-D t-SNE of one draw of the latent, too, which the PBMC3k report mapped; k-means on it is scored",
    )


class Clustering(Section):
    """k-means, Louvain and Leiden on the latents."""

    n_init: int = Field(100, ge=1, description="starts of k-means, of which the best is kept")
    n_neighbors: int = Field(
        15, ge=2, description="neighbours in the graph that Louvain and Leiden partition"
    )
    resolution: float = Field(1.0, gt=0, description="resolution of Louvain and Leiden")


class Perturbation(Section):
    """Prediction of treated cells, on data sets with a control."""

    cell_types: list[str] = Field(
        [], description="cell types whose treated cells are held out in turn and predicted"
    )
    in_sample: bool = Field(
        True,
        description="predict treated cells also where models have seen treated cells of all types, as the thesis does",
    )


class Study(Section):
    """Data sets x models x seeds, evaluated alike and compared in one table."""

    title: Title = Field(description="name shown in the report")
    datasets: list[Name] = Field(min_length=1, description="names of data sets")
    models: list[Name] = Field(min_length=1, description="names of models")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        min_length=1, description="one training a seed"
    )
    evaluations: list[Literal["clustering", "generation", "perturbation"]] = Field(
        ["clustering", "generation"],
        min_length=1,
        description="what is scored: clusters of the latents, which are also mapped; generated cells; predicted treated cells",
    )
    split: Literal["all", "held_out"] = Field(
        "all",
        description="cells whose latents are kept, mapped, clustered and scored: all, or of large data those held out",
    )
    embedding: Embedding = Field(Embedding(), description="how its latents are mapped")
    clustering: Clustering = Field(Clustering(), description="how its latents are clustered")
    perturbation: Perturbation = Field(
        Perturbation(), description="what is predicted, if perturbation is among the evaluations"
    )


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
    for where, text in _texts(raw):
        if CONTROL.search(text):
            raise UserError(
                f"configuration: '{where}' has {SHORT.repr(text)}, which holds a line break or another control character; "
                "write it on one line, without"
            )
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise UserError(_one_line(error, Config)) from error
    models = {name: _with_defaults(name, model) for name, model in config.models.items()}
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
        _check_reference("run", name, config.studies)
    for name, study in config.studies.items():
        for kind in ("datasets", "models", "seeds"):
            entries = getattr(study, kind)
            if repeated := {entry for entry in entries if entries.count(entry) > 1}:
                raise UserError(
                    f"configuration: studies.{name}.{kind} names {sorted(repeated)[0]!r} twice; name it once"
                )
        for dataset in study.datasets:
            _check_reference(f"studies.{name}.datasets", dataset, config.datasets)
            if study.split == "held_out" and not config.datasets[dataset].holds_out:
                raise UserError(
                    f"configuration: studies.{name}.split is held_out, but data set '{dataset}' holds out no cells; "
                    "give it a holdout, or leave split out"
                )
        if "perturbation" in study.evaluations:
            _check_perturbation(name, study, config)
        for model in study.models:
            _check_reference(f"studies.{name}.models", model, config.models)
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


def floors(config: Config, study: str) -> tuple[dict[str, str], dict[str, Model]]:
    """Return the floor of each model of a study, by name, and the settings of those floors that are no models of the study.

    The floor of a model is PCA of its width on what it is given; beside those stands PCA of WIDE components.
    """
    models = {name: config.models[name] for name in config.studies[study].models}
    own = {_width_and_input(model): name for name, model in models.items() if model.family == "pca"}
    wide = {(WIDE, *given) for _, *given in map(_width_and_input, models.values())}
    added = {
        key: _pca(*key)
        for key in sorted({*map(_width_and_input, models.values()), *wide} - set(own), key=str)
    }
    names = own | {key: name for key, (name, _) in added.items()}
    found = {
        name: name if model.family == "pca" else names[_width_and_input(model)]
        for name, model in models.items()
    }
    return found, dict(added.values())


def _width_and_input(model: Model) -> tuple:
    """Return what says which PCA is a model's floor; the number of principal components that it is given does not."""
    return model.hyperparameters["latent_dim"], model.input.scale, model.input.max_value


def _pca(width: int, scale: bool, max_value: float | None) -> tuple[str, Model]:
    """Return name and settings of a PCA; a name with a dot, which no model of a user has."""
    given = f"{'z-scores' if scale else ''}{f' to {max_value:g}' if max_value else ''}".strip()
    name = f"floor.pca_{width}{'_scaled' if scale else ''}{f'_{max_value:g}' if max_value else ''}"
    pca = Model(
        title=f"PCA of {width}{f', {given}' if given else ''}",
        family="pca",
        hyperparameters={"latent_dim": width},
        input=Input(scale=scale, max_value=max_value),
    )
    return name, _with_defaults(name, pca)


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
        _check_reference(f"models.{model}.supervision.dataset", labelled, config.datasets)
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


def _with_defaults(name: str, model: Model) -> Model:
    """Return the model with the hyper-parameters of its family checked and completed."""
    where = f"models.{name}"
    try:
        family = hyperparameters_class(model.family)
    except UserError as error:
        raise UserError(f"configuration: {where}.family: {error}") from error
    try:
        complete = family.model_validate(model.hyperparameters)
    except ValidationError as error:
        raise UserError(_one_line(error, family, f"{where}.hyperparameters")) from error
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


def _texts(raw: dict) -> Iterator[tuple[str, str]]:
    """Yield every text of a configuration as it was read, keys among them, with its place; what has several places once."""
    waiting, seen = [("", raw)], set()
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                place = f"{where}.{key}".lstrip(".")
                waiting += [(place, key), (place, entry)]


def _check_reference(where: str, name: str, known: dict) -> None:
    if name not in known:
        raise UserError(
            f"configuration: {where} names '{name}', which is not defined{nearest(name, known)}"
        )


def _one_line(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Say the first mistake of a validation: the key, what was given, what is allowed, the nearest valid key."""
    first = error.errors()[0]
    path = [part for part in first["loc"] if part != "[key]"]
    where = ".".join(map(str, [*([prefix] if prefix else []), *path]))
    if first["type"] == "extra_forbidden":
        return f"configuration: unknown key '{where}'{nearest(str(path[-1]), _field_type(model, path[:-1]).model_fields)}"
    if first["type"] == "missing":
        return f"configuration: '{where}' is missing ({_description(model, path)})"
    if first["type"] == "value_error":
        return f"configuration: '{where}': {first['ctx']['error']}"
    rule = re.sub("^[A-Z][a-z]* should", "it should", first["msg"])
    rule = re.sub(
        "a valid dictionary( or instance of [A-Za-z]*)?", "a mapping of keys to values", rule
    )
    return f"configuration: '{where}' is {SHORT.repr(first['input'])}, but {rule} ({_description(model, path)})"


def _field_type(model: type[BaseModel], path: list) -> Any:
    """Follow a path of keys through nested sections; mappings by name and lists by index are stepped through."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[part].annotation
        else:
            current = current.__args__[-1]
        if isinstance(current, UnionType):  # an optional section
            current = current.__args__[0]
    return current


def _description(model: type[BaseModel], path: list) -> str:
    """Return the meaning of the innermost named field on a path."""
    for end in range(len(path), 0, -1):
        section = _field_type(model, path[: end - 1])
        if (
            isinstance(section, type)
            and issubclass(section, BaseModel)
            and path[end - 1] in section.model_fields
        ):
            return section.model_fields[path[end - 1]].description
    return "see config/README.md"
