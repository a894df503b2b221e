"""Models: a family with its hyper-parameters, the input of its networks, and its training."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    Field,
    SerializeAsAny,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sclatent.common.errors import UserError
from sclatent.config.base import Name, Section, Title
from sclatent.families.base import BaseHyperparameters, explains_counts
from sclatent.families.registry import family_files, hyperparameters_class

Objective = Literal["unsupervised", "pretraining", "supervised", "semi_supervised"]
GUIDED = {"supervised", "semi_supervised"}  # the objectives that use labels
RATE = {"type": "number", "exclusiveMinimum": 0}
RATES = {"anyOf": [RATE, {"type": "array", "items": RATE, "minItems": 1}, {"type": "null"}]}


class Input(Section):
    """What networks see instead of normalised values.

    Means, standard deviations and principal axes are computed on training cells only.
    """

    scale: bool = Field(
        default=False,
        description="z-scores: subtract the mean of each gene and divide by its standard deviation",
    )
    max_value: float | None = Field(
        default=None,
        gt=0,
        description="clip values at this distance from zero, after scaling; null: no clip",
    )
    n_pcs: int | None = Field(
        default=None,
        ge=1,
        description="number of principal components that replace the genes; null: genes",
    )
    mask: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of the genes that each training step hides from the encoder, so that "
        "the model learns to denoise",
    )


class Supervision(Section):
    """Labels that a training sees, in phases with the objective supervised or semi_supervised."""

    labels: Literal["cell_type", "louvain"] = Field(
        description="cell types, or Louvain clusters of the training cells, which use no label"
    )
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the cells whose label the training sees; the seed draws them",
    )
    dataset: Name | None = Field(
        default=None,
        description="data set of the labelled cells; null: the one that the model is trained on",
    )


class Phase(Section):
    """A part of a training with an optimiser of its own; a missing key is taken from `training`."""

    epochs: int | None = Field(default=None, ge=1, description="passes over the cells")
    learning_rate: Annotated[float | None, WithJsonSchema(RATES)] = Field(
        default=None,
        gt=0,
        description="step size of the optimiser; a list stands for one phase per value",
    )
    weight_decay: float | None = Field(default=None, ge=0, description="weight decay")
    objective: Objective | None = Field(default=None, description="what to minimise")


def _with_rates(phase: Any) -> list:
    """Return the phases that one phase of a configuration stands for: one per learning rate."""
    rates = phase.get("learning_rate") if isinstance(phase, dict) else None
    if not isinstance(rates, list) or not rates:
        return [phase]
    return [{**phase, "learning_rate": rate} for rate in rates]


class Training(Section):
    """How a model is trained."""

    epochs: int = Field(default=200, ge=1, description="passes over the cells")
    learning_rate: float = Field(default=1e-3, gt=0, description="step size of the optimiser")
    weight_decay: float = Field(default=0, ge=0, description="weight decay")
    objective: Objective = Field(
        default="unsupervised",
        description="what to minimise. unsupervised: the loss of cells without labels; "
        "pretraining: the loss of a plain VAE, after which k-means places the components; "
        "supervised: the loss of labelled cells; semi_supervised: the loss of both in each step",
    )
    phases: list[Phase] = Field(
        default=[],
        description="parts of the training, one after the other; empty: a single phase",
    )
    batch_size: int = Field(
        default=256,
        ge=1,
        description="cells per step; the last step of an epoch has the remaining cells",
    )
    optimizer: Literal["adam", "adamw"] = Field(
        default="adam", description="adam, or adamw with its decoupled weight decay"
    )
    schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="how the step size changes during each phase"
    )
    warmup: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of each phase during which the step size rises from 0",
    )
    clip_norm: float | None = Field(
        default=None, gt=0, description="scale down gradients whose norm is above this; null: never"
    )
    validation: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of the training cells that only measure the loss, for patience",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="end a phase after this many epochs without a lower loss on the validation "
        "cells, and keep the best weights; null: run all epochs",
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32",
        description="bf16: matrix products in bfloat16, if the processor has instructions for them",
    )

    @field_validator("phases", mode="wrap")
    @classmethod
    def _complete_phases(
        cls, given: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> list[Phase]:
        """Make one phase per learning rate, and fill in what the phases leave out."""
        if isinstance(given, list):
            # Report mistakes at the place that the user wrote, before phases are added.
            handler([_with_rates(phase)[0] for phase in given])
            given = [phase for written in given for phase in _with_rates(written)]
        own = {key: info.data[key] for key in Phase.model_fields if key in info.data}
        return [
            Phase.model_validate({**own, **phase.model_dump(exclude_none=True)})
            for phase in handler(given) or [Phase()]
        ]

    @model_validator(mode="after")
    def _watches_something(self):
        if self.patience is not None and not self.validation:
            raise ValueError("patience needs validation, the share of the cells that it watches")
        return self


class VisibleLabels(NamedTuple):
    """Which labels of cells a training sees."""

    condition: str | None  # the label that is the condition; None if the model uses none
    labels: str | None  # cell_type or louvain, for supervised phases; None if there are none
    labelled: str | None  # the data set of the labelled cells; None if there are none


class Model(Section):
    """A named variant of a model family."""

    extends: Name | None = Field(
        default=None,
        description="model whose settings this one starts from; the keys of this one replace them",
    )
    title: Title = Field(
        description="name in figures and tables; a model with extends can leave it out"
    )
    family: str = Field(
        description="name of the family, as in scripts/sclatent/families; a model with extends can "
        "leave it out"
    )
    hyperparameters: Annotated[
        SerializeAsAny[BaseHyperparameters], WithJsonSchema({"type": "object"})
    ] = Field(
        default=BaseHyperparameters.model_validate({}),
        description="hyper-parameters of the family; the others keep their defaults",
    )
    input: Input = Field(default=Input(), description="what the networks see")
    condition: Literal["condition", "batch", "cell_type"] = Field(
        default="condition", description="which label of each cell a conditional family sees"
    )
    supervision: Supervision | None = Field(
        default=None, description="labels that the training sees; null: no label"
    )
    training: Training = Field(
        default=Training(), description="how to train; closed-form families ignore it"
    )

    @field_validator("family")
    @classmethod
    def _is_known(cls, family: str) -> str:
        try:
            family_files(family)
        except UserError as error:
            raise ValueError(str(error)) from error
        return family

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _of_the_family(cls, given: Any, info: ValidationInfo) -> BaseHyperparameters:
        """Validate the hyper-parameters as those of the family, and fill in its defaults."""
        if "family" not in info.data:  # it was refused, which is the mistake to report
            return BaseHyperparameters.model_validate({})
        if isinstance(given, BaseHyperparameters):
            given = given.model_dump(exclude_unset=True)
        return hyperparameters_class(info.data["family"]).model_validate(given)

    @model_validator(mode="after")
    def _fits_together(self):
        if getattr(self.hyperparameters, "batch_norm", False) and self.training.batch_size == 1:
            raise ValueError(
                "training.batch_size is 1, but batch normalisation needs 2 cells or more"
            )
        objectives = {phase.objective or "unsupervised" for phase in self.training.phases}
        special = sorted(objectives - {"unsupervised"})
        if special and not self.hyperparameters.mixture:
            raise ValueError(
                f"training: objective {special[0]} is for families with components, which "
                f"{self.family} does not have"
            )
        if (self.supervision is not None) != bool(objectives & GUIDED):
            raise ValueError(
                "supervision, which names the labels, and a phase with the objective supervised or "
                "semi_supervised, which uses them, go together"
            )
        return self

    @property
    def explains_counts(self) -> bool:
        """Whether the model explains counts instead of the values it is given."""
        return explains_counts(self.hyperparameters.model_dump())

    def labels_seen(self, dataset: str) -> list[tuple[str, str]]:
        """Return the labels that the model sees, by data set.

        Parameters
        ----------
        dataset : str
            Name of the data set that the model is trained on.

        Returns
        -------
        list of (str, str)
            Names of a data set and of a label. Louvain clusters are no label.
        """
        conditional = self.hyperparameters.conditional
        seen = [(dataset, str(self.condition))] if conditional else []
        if self.supervision is not None:
            labelled = self.supervision.dataset or dataset
            seen += [(labelled, str(self.condition))] if conditional else []
            seen += [(labelled, "cell_type")] if self.supervision.labels == "cell_type" else []
        return seen
