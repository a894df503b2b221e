"""Models: a family with its hyper-parameters, what it is given, and how it is trained."""

from typing import Any, Literal

from pydantic import Field, model_validator

from sclatent.config.base import Name, Section, Title

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
