"""What the variational autoencoders share. A family says what its posterior and its prior are."""

from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from sclatent.families.base import VariationalHyperparameters
from sclatent.models.base import Batch, Generated, Latents, rise, total_of, with_condition
from sclatent.models.with_likelihood import LikelihoodModel
from sclatent.nn.layers import below_overflow, bounded_gaussian, first_width, hidden_layers, mlp
from sclatent.nn.likelihoods import LIKELIHOODS

HP = TypeVar("HP", bound=VariationalHyperparameters)
Posterior = TypeVar("Posterior")  # the NamedTuple in which a family holds the parameters of q(z|x)


class VariationalModel(LikelihoodModel[HP], Generic[HP, Posterior]):
    """loss = E_q -log p(x|z) + beta KL(q(z|x) || p(z)), with one draw of z per cell.

    The encoder is a shared trunk F -> encoder_hidden, then one head -> head_hidden -> L per
    parameter of the posterior. Here these are the mean and the log-variance of a Gaussian; a
    family can add heads. The decoder is L -> decoder_hidden, then the likelihood -> G. The trunk
    sees the condition, if there is one. A family says in `n_decoded` whether the decoder does.

    A family defines `posterior`, `mean`, `draw` and `divergence`. Its prior is N(0, I) unless it
    overrides `draw_prior`.
    """

    def __init__(self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: HP):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.settled = hp.warmup
        self.trunk = hidden_layers(
            n_features + n_conditions, hp.encoder_hidden, hp, hp.linear_first
        )
        self.mean_head = self.new_head()
        self.log_var_head = self.new_head()
        n_decoded = self.latent_dim + self.n_decoded
        self.decoder = hidden_layers(n_decoded, hp.decoder_hidden, hp)
        self.likelihood = LIKELIHOODS[hp.likelihood](
            [n_decoded, *hp.decoder_hidden][-1], n_vars, hp
        )

    @property
    def n_decoded(self) -> int:
        """Number of conditions that the decoder sees: all, or 0."""
        return self.n_conditions

    @property
    def sparse_widths(self) -> tuple[int, int] | None:
        """See `LatentModel.sparse_widths`; for likelihoods that are squared errors."""
        if self.n_conditions or not len(self.trunk) or not self.likelihood.takes_sparse:
            return None
        return first_width(self.trunk), self.likelihood.linear.in_features

    def new_head(self) -> torch.nn.Sequential:
        """Return a new head, from the trunk to one parameter of the posterior."""
        n_in = [self.n_features + self.n_conditions, *self.hp.encoder_hidden][-1]
        return mlp(n_in, self.hp.head_hidden, self.latent_dim, self.hp)

    def gaussian(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, (B, L) each, for the output of the trunk."""
        mean, log_var = self.mean_head(hidden), self.log_var_head(hidden)
        if self.hp.bounded:
            return bounded_gaussian(mean, log_var)
        return mean, below_overflow(log_var)

    @abstractmethod
    def posterior(self, seen: Tensor, condition: Tensor | None = None) -> Posterior:
        """Return the parameters of q(z|x), (B, L) each, of cells.

        Parameters
        ----------
        seen
            (B, F).
        condition
            (B, C) one-hot; None for families that do not use conditions.
        """

    @abstractmethod
    def mean(self, posterior: Posterior) -> Tensor:
        """Return the expected value of `draw` at the end of training, (B, L)."""

    @abstractmethod
    def draw(self, posterior: Posterior, progress: float = 1.0) -> Tensor:
        """Return one differentiable draw from q(z|x), (B, L).

        Parameters
        ----------
        posterior
            From `posterior`.
        progress
            Share of the training that is over.
        """

    @abstractmethod
    def divergence(self, posterior: Posterior, condition: Tensor | None) -> dict[str, Tensor]:
        """Return KL(q(z|x) || p(z)), averaged over cells, as one or more scalars to be added."""

    def watched(self, posterior: Posterior) -> dict[str, Tensor]:
        """Return scalars that are recorded with the loss and not minimised."""
        return {}

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the negative evidence bound and its parts; see `LatentModel.loss`."""
        posterior = self.posterior(batch.seen, batch.condition)
        hidden = self.last_hidden(self.draw(posterior, progress), batch.condition)
        reconstruction = self.likelihood.nll(hidden, batch.x).mean()
        divergence = self.divergence(posterior, batch.condition)
        weight = self.hp.beta * rise(progress, 0, self.hp.warmup)
        return {
            "loss": reconstruction + weight * total_of(divergence),
            "reconstruction": reconstruction,
            **divergence,
            **self.watched(posterior),
        }

    def last_hidden(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Return the decoder's last hidden layer; it sees the condition if n_decoded is not 0."""
        return self.decoder(with_condition(z, condition if self.n_decoded else None))

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the mean of q(z|x) and one draw; see `LatentModel.encode`."""
        posterior = self.posterior(seen, condition)
        return Latents(self.mean(posterior), self.draw(posterior))

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from the prior, (n, L)."""
        return torch.randn(n, self.latent_dim).to(next(self.parameters()))

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return n cells, decoded from draws of the prior; see `LatentModel.generate`."""
        return self.generated(self.draw_prior(n), sample)
