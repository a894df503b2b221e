"""Hyper-parameters of the conditional Gaussian-mixture VAE."""

from typing import ClassVar, Literal

from pydantic import Field

from sclatent.families.base import MixtureHyperparameters


class Hyperparameters(MixtureHyperparameters):
    """Those of any mixture, where the condition enters, and the prior of w."""

    conditional: ClassVar[bool] = True
    flip_paths: ClassVar[tuple[str, ...]] = ("w", "z", "z_shift", "sample")

    concatenation: Literal["C", "C2"] = Field(
        "C2",
        description="what sees the condition: encoder and decoder (C), or the components and the classifier of z too (C2)",
    )
    w_prior: Literal["learned", "fixed"] = Field(
        "fixed",
        description="prior of w: learned for each condition, which parts conditions in w; or N(0, I), which mixes them",
    )
