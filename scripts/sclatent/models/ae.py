"""The deterministic autoencoder of the PBMC3k report."""

from torch import Tensor

from sclatent.families.ae import Hyperparameters
from sclatent.models.base import Batch, LatentModel, Latents
from sclatent.nn.layers import first_width, hidden_layers, mlp
from sclatent.nn.likelihoods import SquaredError


class Model(LatentModel[Hyperparameters]):
    """z = f(x), x' = g(z), loss = sum over features of (x - x')^2, averaged over cells.

    f: F -> encoder_hidden -> L, g: L -> decoder_hidden -> G. Without hidden layers and latent_relu
    it is linear. Its optimum then spans the space of the first L principal components.

    Source
    ------
    Hinton and Salakhutdinov 2006.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.encoder = mlp(n_features, hp.encoder_hidden, self.latent_dim, hp, hp.linear_first)
        self.decoder = hidden_layers(self.latent_dim, hp.decoder_hidden, hp)
        self.likelihood = SquaredError([self.latent_dim, *hp.decoder_hidden][-1], n_vars, hp)

    @property
    def sparse_widths(self) -> tuple[int, int] | None:
        """See `LatentModel.sparse_widths`; None if the decoder's output is not linear."""
        if not self.likelihood.takes_sparse:
            return None
        return first_width(self.encoder), self.likelihood.linear.in_features

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the squared error of the reconstruction."""
        hidden = self.decoder(self.encode(batch.seen).mean)
        return {"loss": self.likelihood.nll(hidden, batch.x).mean()}

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return f(seen) as both mean and sample."""
        z = self.encoder(seen)
        z = z.relu() if self.hp.latent_relu else z
        return Latents(z, z)

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return g(z). There is no likelihood to draw from, so a sample is the same."""
        return self.likelihood.mean(self.decoder(z))
