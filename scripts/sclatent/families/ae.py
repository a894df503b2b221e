"""Hyper-parameters of the deterministic autoencoder."""

from pydantic import Field

from sclatent.families.base import AutoencoderHyperparameters


class Hyperparameters(AutoencoderHyperparameters):
    """Widths as for any autoencoder, and the activation of the latent."""

    latent_relu: bool = Field(
        True, description="ReLU on the latent, which is then non-negative, as in the PBMC3k report"
    )
