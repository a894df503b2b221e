"""What the hyper-parameters of the families have in common; free of torch, since it is read while a workflow is planned."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Widths = list[Annotated[int, Field(ge=1)]]
Likelihood = Literal[
    "mse", "gauss1", "gauss_gene", "sigma_shared", "sigma_opt", "bernoulli", "nb", "zinb", "poisson"
]
COUNTS = {
    "nb",
    "zinb",
    "poisson",
}  # likelihoods of counts, in place of the values that a model is given
Share = Annotated[float, Field(ge=0, le=1)]


def explains_counts(hyperparameters: Mapping) -> bool:
    """Return whether models with these hyper-parameters explain counts in place of the values they are given."""
    return hyperparameters.get("likelihood") in COUNTS


class BaseHyperparameters(BaseModel):
    """Hyper-parameters of any family: misspelt or unknown names are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    # What models of the family can do.
    closed_form: ClassVar[bool] = False  # the optimum is found at once, without training
    conditional: ClassVar[bool] = False  # models see the condition of a cell
    generative: ClassVar[bool] = False  # a latent is a distribution with a prior to draw cells from
    mixture: ClassVar[bool] = False  # models have components, which labels can guide
    # Ways in which `Model.flip` moves a cell to another condition; one empty text if there is one.
    flip_paths: ClassVar[tuple[str, ...]] = ()

    latent_dim: int = Field(6, ge=1, le=4096, description="number of latent dimensions")


class NetworkHyperparameters(BaseHyperparameters):
    """Layers of the neural networks: each is linear, dropout, batch normalisation, activation."""

    activation: Literal["relu", "leaky_relu"] = Field(
        "relu", description="activation of hidden layers"
    )
    batch_norm: bool = Field(
        False, description="batch normalisation of hidden layers, before the activation"
    )
    dropout: float = Field(0, ge=0, lt=1, description="share of hidden units dropped in training")
    xavier: bool = Field(
        False,
        description="Xavier's uniform initial weights, as in the thesis; PyTorch's default where false",
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
    """An encoder that ends in several heads, one a parameter of the posterior, a likelihood, and a weighted KL divergence."""

    generative: ClassVar[bool] = True

    encoder_hidden: Widths = Field(
        [128, 32], description="widths of the hidden layers that all heads share"
    )
    head_hidden: Widths = Field(
        [16], description="widths of the hidden layers that each head has to itself"
    )
    likelihood: Likelihood = Field(
        "mse",
        description="distribution of expression given the latent; nb, zinb, poisson: of counts",
    )
    bounded: bool = Field(
        False,
        description="soft bounds of the posterior as in the thesis: mean -5 to 5, log-variance -9 to 1",
    )
    beta: float = Field(2.0, ge=0, description="weight of the KL divergence in the loss")
    warmup: Share = Field(
        0,
        description="share of the training over which the weight of the KL divergence rises from 0",
    )


class MixtureHyperparameters(NetworkHyperparameters):
    """Networks, class prior, bounds and weights of a mixture whose components move with a second latent w."""

    mixture: ClassVar[bool] = True
    generative: ClassVar[bool] = True

    latent_dim: int = Field(
        10, ge=1, le=4096, description="number of latent dimensions of z, which the decoder sees"
    )
    w_dim: int = Field(
        4,
        ge=0,
        le=4096,
        description="number of dimensions of w, which moves the components; 0: they stand still",
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
        "z", description="what the classifier q(y) sees: z, or the encoder's last hidden layer"
    )
    likelihood: Likelihood = Field(
        "mse",
        description="distribution of expression given the latent; nb, zinb, poisson: of counts",
    )
    output: Literal["linear", "relu", "softplus"] = Field(
        "linear", description="last activation of the mean, for mse and gauss*"
    )
    dirichlet: Literal["collapsed", "network", "none", "global"] = Field(
        "collapsed",
        description="prior of the component: a Dirichlet a cell, integrated out (collapsed) or drawn from a network's q(d) as in "
        "the thesis (network); uniform (none); shares learned over all cells (global)",
    )
    alpha: float = Field(
        0.2,
        gt=0,
        le=100,
        description="concentration of the Dirichlet; below about 0.2 it favours crisp q(y)",
    )
    bounded: bool = Field(
        True, description="soft bounds of q(z), q(w), p(z|w,y): mean -5 to 5, log-variance -9 to 1"
    )
    z_weight: float = Field(1, ge=0, description="weight of the KL divergence of z")
    w_weight: float = Field(1, ge=0, description="weight of the KL divergence of w")
    y_weight: float = Field(
        1,
        ge=0,
        description="weight of the divergence of the component, that of the Dirichlet included",
    )
    warmup: Share = Field(
        0,
        description="share of the training over which the weight of the KL divergence of z rises from 0",
    )
    free_bits: float = Field(
        0, ge=0, description="nats below which the divergence of the component is not pressed"
    )
    class_weight: float = Field(
        1, ge=0, description="weight of the classifier's cross-entropy for labelled cells"
    )
    relaxed: bool = Field(
        False,
        description="as cost of labels a relaxed one-hot's density at temperature 0.1, as in the thesis",
    )
    entropy_weight: float = Field(
        0,
        ge=0,
        description="weight of the entropy of each cell's q(y); above 0 it makes q(y) crisp",
    )
    marginal_weight: float = Field(
        0,
        ge=0,
        description="weight of a batch's divergence, mean q(y) from equal shares; above 0 it keeps components in use",
    )
    adversarial_weight: float = Field(
        0, ge=0, description="weight of the virtual adversarial term: change of q(y) near a cell"
    )
    adversarial_radius: float = Field(
        2, ge=0, description="length of the change of a cell in the virtual adversarial term"
    )
