"""What the hyper-parameters of the families have in common; free of torch, since it is read while a workflow is planned."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Widths = list[Annotated[int, Field(ge=1)]]


class BaseHyperparameters(BaseModel):
    """Hyper-parameters of any family: misspelt or unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    latent_dim: int = Field(6, ge=1, le=4096, description="number of latent dimensions")


class AutoencoderHyperparameters(BaseHyperparameters):
    """Widths of an encoder and a decoder made of fully connected layers with ReLU."""

    encoder_hidden: Widths = Field([128, 32, 16], description="widths of the encoder's hidden layers, input to latent")
    decoder_hidden: Widths = Field([16, 32, 128], description="widths of the decoder's hidden layers, latent to output")
    linear_first: bool = Field(True, description="no activation after the first encoder layer, as in the PBMC3k report")


class VariationalHyperparameters(AutoencoderHyperparameters):
    """An encoder that ends in several heads, one a parameter of the posterior, and a weighted KL divergence."""

    encoder_hidden: Widths = Field([128, 32], description="widths of the hidden layers that all heads share")
    head_hidden: Widths = Field([16], description="widths of the hidden layers that each head has to itself")
    beta: float = Field(2.0, ge=0, description="weight of the KL divergence in the loss")
