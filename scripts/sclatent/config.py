"""The typed configuration: the one source of its checks, its defaults, its JSON schema and its reference table.

Sections are named things that refer to each other by name: data sets, models, studies. `load` turns the mapping that the
workflow read from its files into a `Config`, or raises UserError with one line for the first mistake.
"""

import re
from types import UnionType
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from sclatent.datasets import Dataset, File
from sclatent.errors import UserError, nearest
from sclatent.models import hyperparameters_class
from sclatent.schema import Name, Section


class Training(Section):
    """How a model is trained with Adam."""

    epochs: int = Field(200, ge=1, description="passes over the data")
    batch_size: int = Field(256, ge=1, description="cells a step; the last step of an epoch takes what is left")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's step size")


class Model(Section):
    """A named variant of a model family."""

    title: str = Field(description="name shown in figures and tables")
    family: str = Field(description="file of the family in scripts/sclatent/models, without .py")
    hyperparameters: dict[str, Any] = Field({}, description="those of the family; the rest keep their defaults")
    training: Training = Field(Training(), description="how it is trained; without effect on closed-form families")


class Embedding(Section):
    """Two- and three-dimensional maps of the latents."""

    perplexity: float = Field(40.0, gt=0, description="perplexity of t-SNE")
    max_iter: int = Field(1000, ge=250, description="iterations of t-SNE")
    n_neighbors: int = Field(15, ge=2, description="neighbours of UMAP")


class Clustering(Section):
    """k-means and Louvain on the latents."""

    n_init: int = Field(100, ge=1, description="starts of k-means, of which the best is kept")
    n_neighbors: int = Field(15, ge=2, description="neighbours in the graph that Louvain partitions")
    resolution: float = Field(1.0, gt=0, description="resolution of Louvain")


class Study(Section):
    """Data sets x models x seeds, mapped, clustered and scored alike and compared in one table."""

    title: str = Field(description="name shown in the report")
    datasets: list[Name] = Field(min_length=1, description="names of data sets")
    models: list[Name] = Field(min_length=1, description="names of models")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(min_length=1, description="one training a seed")
    embedding: Embedding = Field(Embedding(), description="how its latents are mapped")
    clustering: Clustering = Field(Clustering(), description="how its latents are clustered")


class Config(Section):
    """The whole configuration."""

    run: list[Name] = Field(min_length=1, description="studies that a plain run makes")
    threads: int = Field(1, ge=1, description="threads of each numerical job; results are bit-identical at equal threads")
    data_directories: list[str] = Field(
        ["data"], min_length=1, description="folders where files are looked for; downloads are kept in the first"
    )
    datasets: dict[Name, Dataset] = Field(description="data sets by name")
    models: dict[Name, Model] = Field(description="models by name")
    studies: dict[Name, Study] = Field(description="studies by name")


def load(raw: dict) -> Config:
    """Check a configuration and return it with every default filled in. Raises UserError with one line for the first mistake."""
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
                raise UserError(f"configuration: studies.{name}.{kind} names {sorted(repeated)[0]!r} twice; name it once")
        for dataset in study.datasets:
            _check_reference(f"studies.{name}.datasets", dataset, config.datasets)
        for model in study.models:
            _check_reference(f"studies.{name}.models", model, config.models)
    return config


def published_files(config: Config) -> dict[str, File]:
    """Return the files of all data sets that fetching brings here, by name."""
    return {file.name: file for dataset in config.datasets.values() for file in dataset.files.values() if file.name}


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
    return model.model_copy(update={"hyperparameters": complete.model_dump()})


def _check_reference(where: str, name: str, known: dict) -> None:
    if name not in known:
        raise UserError(f"configuration: {where} names '{name}', which is not defined{nearest(name, known)}")


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
    rule = re.sub("a valid dictionary( or instance of [A-Za-z]*)?", "a mapping of keys to values", rule)
    return f"configuration: '{where}' is {first['input']!r}, but {rule} ({_description(model, path)})"


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
        if isinstance(section, type) and issubclass(section, BaseModel) and path[end - 1] in section.model_fields:
            return section.model_fields[path[end - 1]].description
    return "see config/README.md"
