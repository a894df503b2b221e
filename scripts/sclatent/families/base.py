"""Hyper-parameters that several families share.

The workflow reads them while it plans a run, in an environment without torch. So nothing here
imports torch. The descriptions of the fields are the users' reference: `make reference` writes
them to config/README.md and to the JSON schemas.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Widths = list[Annotated[int, Field(ge=1)]]
Likelihood = Literal[
    "mse", "gauss1", "gauss_gene", "sigma_shared", "sigma_opt", "bernoulli", "nb", "zinb", "poisson"
]
# Likelihoods of raw counts; all others explain the values that the model is given.
COUNTS = {"nb", "zinb", "poisson"}
Share = Annotated[float, Field(ge=0, le=1)]

# Bounds of Gaussians in a latent space, as in the thesis; `sclatent.nn.layers` applies them.
MEAN_BOUNDS = (-5.0, 5.0)
LOG_VAR_BOUNDS = (-9.0, 1.0)
BOUNDS_IN_WORDS = "mean {:g} to {:g}, log-variance {:g} to {:g}".format(
    *MEAN_BOUNDS, *LOG_VAR_BOUNDS
)


def explains_counts(hyperparameters: Mapping) -> bool:
    """Return whether models with these hyper-parameters explain raw counts.

    Parameters
    ----------
    hyperparameters
        Those of any family, by name.
    """
    return hyperparameters.get("likelihood") in COUNTS


class BaseHyperparameters(BaseModel):
    """Hyper-parameters of any family. Unknown names are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    # What models of the family can do.
    closed_form: ClassVar[bool] = False  # the optimum is computed directly, without training
    conditional: ClassVar[bool] = False  # models see the condition of a cell
    generative: ClassVar[bool] = False  # the latent has a prior, from which cells can be drawn
    mixture: ClassVar[bool] = False  # models have components, which labels can guide
    # Values of `path` that `LatentModel.flip` accepts. ("",) if there is only one way to flip a
    # condition; empty if there is none.
    flip_paths: ClassVar[tuple[str, ...]] = ()

    latent_dim: int = Field(6, ge=1, le=4096, description="number of latent dimensions")


class NetworkHyperparameters(BaseHyperparameters):
    """Layers of the networks: each is linear, dropout, batch normalisation, activation."""

    activation: Literal["relu", "leaky_relu"] = Field(
        "relu", description="activation of hidden layers"
    )
    batch_norm: bool = Field(
        False, description="batch normalisation of hidden layers, before the activation"
    )
    dropout: float = Field(0, ge=0, lt=1, description="share of hidden units dropped in training")
    xavier: bool = Field(
        False,
        description="Xavier's uniform initial weights, as in the thesis; if false, PyTorch's "
        "default",
    )


class AutoencoderHyperparameters(NetworkHyperparameters):
    """Widths of an encoder and a decoder made of fully connected layers."""

    encoder_hidden: Widths = Field(
        [128, 32, 16], description="widths of the encoder's hidden layers, input to latent"
    )
    decoder_hidden: Widths = Field(
        [16, 32, 128], description="widths of the decoder's hidden layers, latent to output"
    )
    linear_first: bool = Field(
        True, description="no activation after the first encoder layer, as in the PBMC3k report"
    )
    output: Literal["linear", "relu", "softplus"] = Field(
        "linear", description="last activation of the mean, for mse and gauss*"
    )


class VariationalHyperparameters(AutoencoderHyperparameters):
    """An encoder with one head per parameter of the posterior, a likelihood, a KL divergence."""

    generative: ClassVar[bool] = True

    encoder_hidden: Widths = Field(
        [128, 32], description="widths of the hidden layers that all heads share"
    )
    head_hidden: Widths = Field([16], description="widths of the hidden layers of each head")
    likelihood: Likelihood = Field(
        "mse",
        description="distribution of expression given the latent; nb, zinb and poisson explain "
        "counts",
    )
    bounded: bool = Field(
        False,
        description=f"soft bounds of the posterior as in the thesis: {BOUNDS_IN_WORDS}",
    )
    beta: float = Field(2.0, ge=0, description="weight of the KL divergence in the loss")
    warmup: Share = Field(
        0,
        description="share of the training over which the weight of the KL divergence rises from 0",
    )


class MixtureHyperparameters(NetworkHyperparameters):
    """Networks, class prior and weights of a mixture whose components depend on a second latent."""

    mixture: ClassVar[bool] = True
    generative: ClassVar[bool] = True

    latent_dim: int = Field(
        10, ge=1, le=4096, description="number of dimensions of z, the latent that is decoded"
    )
    w_dim: int = Field(
        4,
        ge=0,
        le=4096,
        description="number of dimensions of w, which moves the components; 0: they do not move",
    )
    n_components: int = Field(15, ge=1, le=4096, description="number K of components")
    encoder_hidden: Widths = Field(
        [128], description="widths of the encoder's hidden layers, which z and w share"
    )
    decoder_hidden: Widths = Field(
        [128], description="widths of the decoder's hidden layers, latent to output"
    )
    component_hidden: Widths = Field(
        [32], description="widths of the hidden layers from w to the components; unused without w"
    )
    classifier_hidden: Widths = Field(
        [32],
        description="widths of the hidden layers of the classifier, and of q(d) if there is one",
    )
    classifier: Literal["z", "x"] = Field(
        "z", description="what the classifier q(y) sees: z, or (x) the encoder's last hidden layer"
    )
    likelihood: Likelihood = Field(
        "mse",
        description="distribution of expression given the latent; nb, zinb and poisson explain "
        "counts",
    )
    output: Literal["linear", "relu", "softplus"] = Field(
        "linear", description="last activation of the mean, for mse and gauss*"
    )
    dirichlet: Literal["collapsed", "network", "none", "global"] = Field(
        "collapsed",
        description="prior of the component: one Dirichlet per cell, integrated out (collapsed) or "
        "drawn from a network's q(d) as in the thesis (network); uniform (none); shares that all "
        "cells have in common and that are learned (global)",
    )
    alpha: float = Field(
        0.2,
        gt=0,
        le=100,
        description="concentration of the Dirichlet; below about 0.2 it favours crisp q(y)",
    )
    bounded: bool = Field(
        True, description=f"soft bounds of q(z), q(w) and p(z|w,y): {BOUNDS_IN_WORDS}"
    )
    z_weight: float = Field(1, ge=0, description="weight of the KL divergence of z")
    w_weight: float = Field(1, ge=0, description="weight of the KL divergence of w")
    y_weight: float = Field(
        1,
        ge=0,
        description="weight of the divergence of the component, including that of its Dirichlet",
    )
    warmup: Share = Field(
        0,
        description="share of the training over which the weight of the KL divergence of z rises "
        "from 0",
    )
    free_bits: float = Field(
        0,
        ge=0,
        description="nats below which the divergence of the component is not reduced further",
    )
    class_weight: float = Field(
        1, ge=0, description="weight of the classifier's cross-entropy for labelled cells"
    )
    relaxed: bool = Field(
        False,
        description="the cost of a label is the density of a relaxed one-hot at temperature 0.1, "
        "as in the thesis; if false, the cross-entropy",
    )
    entropy_weight: float = Field(
        0,
        ge=0,
        description="weight of the entropy of each cell's q(y); above 0 it makes q(y) crisp",
    )
    marginal_weight: float = Field(
        0,
        ge=0,
        description="weight of the divergence of a batch's mean q(y) from equal shares; above 0 it "
        "keeps components in use",
    )
    adversarial_weight: float = Field(
        0, ge=0, description="weight of the virtual adversarial term: change of q(y) near a cell"
    )
    adversarial_radius: float = Field(
        2, ge=0, description="length of the change of a cell in the virtual adversarial term"
    )
