"""Hyper-parameters of the conditional VAE."""

from typing import ClassVar, Literal

from pydantic import Field

from sclatent.families.base import VariationalHyperparameters


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder, and what depends on the condition."""

    conditional: ClassVar[bool] = True
    flip_paths: ClassVar[tuple[str, ...]] = ("",)

    variant: Literal["learned_prior", "forget", "both"] = Field(
        "forget",
        description="what depends on the condition: the prior of the latent (learned_prior), the "
        "decoder, so that the latent forgets the condition (forget), or both (both)",
    )
