"""Hyper-parameters of the conditional Gaussian-mixture VAE."""

from typing import ClassVar, Literal

from pydantic import Field

from sclatent.families.base import MixtureHyperparameters


class Hyperparameters(MixtureHyperparameters):
    """Those of any mixture, and what depends on the condition."""

    conditional: ClassVar[bool] = True
    flip_paths: ClassVar[tuple[str, ...]] = ("w", "z", "z_shift", "sample")

    concatenation: Literal["C", "C2"] = Field(
        "C2",
        description="what sees the condition: encoder and decoder (C); or also the components and "
        "the classifier of z (C2)",
    )
    w_prior: Literal["learned", "fixed"] = Field(
        "fixed",
        description="prior of w: one Gaussian per condition (learned), which separates conditions "
        "in w; or N(0, I) (fixed), which mixes them",
    )
