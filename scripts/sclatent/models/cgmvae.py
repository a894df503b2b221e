"""The conditional Gaussian mixture VAE, which predicts what a cell would be in another condition."""

import torch
from torch import Tensor, nn

from sclatent.families.cgmvae import Hyperparameters
from sclatent.models import gmvae
from sclatent.nn.divergences import draw_normal


class Model(gmvae.Model):
    """The Gaussian mixture VAE with the one-hot condition c beside x for the encoder and beside z for the decoder.

    With concatenation C2 c stands also beside w for the components, and beside z for a classifier of z. With a learned prior
    p(w|c) = N(mean(c), exp(log_var(c))), bounded as q(w|x, c) is, in the place of N(0, I). Source: Kolb 2022.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        hp = hyperparameters
        super().__init__(
            n_features,
            n_vars,
            n_conditions,
            hp,
            n_inner=n_conditions if hp.concatenation == "C2" else 0,
        )
        if hp.w_prior == "learned":  # all that a network can make of a one-hot c is a table
            self.w_prior_mean = nn.Parameter(torch.randn(n_conditions, hp.w_dim))
            self.w_prior_log_var = nn.Parameter(torch.zeros(n_conditions, hp.w_dim))

    def w_prior(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of p(w|c) where it is learned, else of N(0, I), in the shape of w (B, W)."""
        if self.hp.w_prior == "fixed":
            return super().w_prior(w, condition)
        of_condition = condition.to(w.dtype)[:, :, None]
        return self.bound(
            (of_condition * self.w_prior_mean).sum(1), (of_condition * self.w_prior_log_var).sum(1)
        )

    @torch.no_grad()
    def flip(
        self,
        seen: Tensor,
        condition: Tensor,
        to: Tensor,
        label: Tensor | None = None,
        path: str = "w",
        sample: bool = False,
    ) -> Tensor:
        """Return cells seen (B, F) in `condition` as expected in the conditions `to`, (B, C) one-hot each, or drawn: (B, G).

        label: (B,) component of each cell; where None, its likeliest. path: the latent z that is decoded with `to`:
        w, the mean of the component given the mean of w and `to`, as in the thesis; sample, a draw from that component; z, the
        mean of q(z|x, c) itself; z_shift, the latter moved as the component's mean moves.
        """
        q = self.encode(seen, condition)
        label = q.responsibilities.argmax(dim=-1) if label is None else label
        i = torch.arange(len(label), device=label.device)
        mean, log_var = (parameter[i, label] for parameter in self.components(q.w_mean, to))
        if path == "w":
            return self.decode(mean, to, sample)
        if path == "sample":
            return self.decode(draw_normal(mean, log_var), to, sample)
        if path == "z":
            return self.decode(q.mean, to, sample)
        return self.decode(
            q.mean + (mean - self.components(q.w_mean, condition)[0][i, label]), to, sample
        )
