"""Hyper-parameters of beta variational sparse coding."""

from typing import Literal

from pydantic import Field, field_validator

from sclatent.families.base import Share, VariationalHyperparameters


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder, and those of the spike."""

    alpha: float = Field(
        0.5, gt=0, lt=1, description="prior probability that a latent dimension is in use"
    )
    spike: Literal["neg_relu", "logit"] = Field(
        "logit",
        description="how gamma depends on the output a of its head: sigmoid(a) (logit), or "
        "exp(-ReLU(-a)) as in the PBMC3k report (neg_relu)",
    )
    mask: Literal["soft", "hard"] = Field(
        "soft", description="mask of draws; hard: exactly 0 or 1, with the soft one's gradient"
    )
    sharpness: float = Field(
        50.0, gt=0, description="steepness c of the soft mask that switches a latent dimension on"
    )
    final_sharpness: float | None = Field(
        None,
        gt=0,
        description="c at the end of training, to which it rises linearly; constant if left out",
    )
    spike_warmup: list[Share] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="[start, end]: shares of the training between which the slab rises from 0",
    )

    @field_validator("spike_warmup")
    @classmethod
    def _starts_before_its_end(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError(f"the start ({value[0]:g}) must be below the end ({value[1]:g})")
        return value
