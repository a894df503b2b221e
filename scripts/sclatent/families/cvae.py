"""Hyper-parameters of the conditional VAE."""

from typing import ClassVar, Literal

from pydantic import Field

from sclatent.families.base import VariationalHyperparameters


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder, and the place of the condition."""

    conditional: ClassVar[bool] = True
    flip_paths: ClassVar[tuple[str, ...]] = ("",)

    variant: Literal["learned_prior", "forget", "both"] = Field(
        "forget",
        description="what the condition moves: the prior of the latent, the decoder (the latent forgets it), or both",
    )
