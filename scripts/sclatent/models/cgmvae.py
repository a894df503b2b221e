"""The conditional Gaussian mixture VAE. It predicts how a cell would be in another condition."""

import torch
from torch import Tensor, nn

from sclatent.families.cgmvae import Hyperparameters
from sclatent.models.base import Latents
from sclatent.models.gmvae import MixtureModel
from sclatent.nn.divergences import draw_normal


class Model(MixtureModel[Hyperparameters]):
    """The Gaussian mixture VAE whose encoder and decoder see the one-hot condition c.

    With concatenation C2, the components and a classifier of z see c, too. If the prior of w is
    learned, it is p(w|c) = N(mean(c), exp(log_var(c))), bounded like q(w|x, c), instead of N(0, I).

    Source
    ------
    Kolb 2022.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        if hyperparameters.w_prior == "learned":
            # A network of a one-hot c can be no more than a table.
            self.w_prior_mean = nn.Parameter(torch.randn(n_conditions, hyperparameters.w_dim))
            self.w_prior_log_var = nn.Parameter(torch.zeros(n_conditions, hyperparameters.w_dim))

    @property
    def n_inner(self) -> int:
        """Number of conditions that the components and a classifier of z see."""
        return self.n_conditions if self.hp.concatenation == "C2" else 0

    def w_prior(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of p(w|c) if it is learned, otherwise of N(0, I), (B, W)."""
        if self.hp.w_prior == "fixed":
            return super().w_prior(w, condition)
        assert condition is not None
        one_hot = condition.to(w.dtype)[:, :, None]
        return self.bound(
            (one_hot * self.w_prior_mean).sum(1), (one_hot * self.w_prior_log_var).sum(1)
        )

    @torch.no_grad()
    def flip(
        self, seen: Tensor, condition: Tensor, to: Tensor, path: str = "", sample: bool = False
    ) -> Tensor:
        """Decode a latent z with another condition; see `LatentModel.flip`.

        The path says which z it is. `y` is the most probable component of the cell, `mean w` the
        mean of q(w|x, c).

        - w: the mean of p(z|w, y, to) at mean w, as in the thesis.
        - sample: a draw from p(z|w, y, to) at mean w.
        - z: the mean of q(z|x, c).
        - z_shift: that mean, moved by the difference between the means of p(z|w, y, to) and
          p(z|w, y, c) at mean w.
        """
        latents = self.encode(seen, condition)
        assert latents.responsibilities is not None
        component = latents.responsibilities.argmax(dim=-1)
        return self.flip_in_component(latents, component, condition, to, path, sample)

    @torch.no_grad()
    def flip_in_component(
        self,
        latents: Latents,
        component: Tensor,
        condition: Tensor,
        to: Tensor,
        path: str = "",
        sample: bool = False,
    ) -> Tensor:
        """Return what `flip` does for given latents of cells and a component (B,) for each."""
        assert latents.w_mean is not None
        i = torch.arange(len(component), device=component.device)
        mean, log_var = (x[i, component] for x in self.components(latents.w_mean, to))
        path = path or self.hp.flip_paths[0]
        if path == "w":
            z = mean
        elif path == "sample":
            z = draw_normal(mean, log_var)
        elif path == "z":
            z = latents.mean
        else:
            before, _ = self.components(latents.w_mean, condition)
            z = latents.mean + (mean - before[i, component])
        return self.decode(z, to, sample)
