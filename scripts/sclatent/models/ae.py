"""The deterministic autoencoder of the PBMC3k report."""

from pydantic import Field
from torch import Tensor

from sclatent.likelihoods import squared_error
from sclatent.models.base import LatentModel, Latents
from sclatent.models.hyperparameters import AutoencoderHyperparameters
from sclatent.networks import mlp


class Hyperparameters(AutoencoderHyperparameters):
    """Widths as for any autoencoder, and the activation of the latent."""

    latent_relu: bool = Field(True, description="ReLU on the latent, which is then non-negative, as in the PBMC3k report")


class Model(LatentModel):
    """z = f(x), x' = g(z), loss = sum over features of (x - x')^2, averaged over cells.

    f: G -> encoder_hidden -> L, g: L -> decoder_hidden -> G. Source: Hinton and Salakhutdinov 2006.
    """

    def __init__(self, n_vars: int, hyperparameters: Hyperparameters):
        super().__init__(n_vars, hyperparameters)
        self.latent_relu = hyperparameters.latent_relu
        self.encoder = mlp(n_vars, hyperparameters.encoder_hidden, self.latent_dim, hyperparameters.linear_first)
        self.decoder = mlp(self.latent_dim, hyperparameters.decoder_hidden, n_vars)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """The squared error of the reconstruction."""
        return {"loss": squared_error(x, self.decode(self.encode(x).mean)).mean()}

    def encode(self, x: Tensor) -> Latents:
        """Return f(x) as both mean and sample."""
        z = self.encoder(x)
        z = z.relu() if self.latent_relu else z
        return Latents(z, z)

    def decode(self, z: Tensor) -> Tensor:
        """Return g(z)."""
        return self.decoder(z)
