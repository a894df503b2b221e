"""The beta-VAE and its training as PyTorch's own modules, Dataset and DataLoader give them, for
training.py to compare with.
"""

import time
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    """Cells (N, G), dense."""

    def __init__(self, x: np.ndarray):
        self.x = x

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.x)

    def __getitem__(self, i: int) -> np.ndarray:
        """Return a cell (G,)."""
        return self.x[i]


class PlainVAE(nn.Module):
    """A beta-VAE with the layers that the family "vae" has for the same hyper-parameters."""

    def __init__(self, n_vars: int, hp: dict):
        super().__init__()
        trunk, heads, decoder, latent_dim = (
            hp[key] for key in ("encoder_hidden", "head_hidden", "decoder_hidden", "latent_dim")
        )
        self.trunk = nn.Sequential(mlp([n_vars, *trunk]), nn.ReLU())
        if hp["linear_first"]:
            del self.trunk[0][1]
        self.mean, self.log_var = (
            mlp([trunk[-1], *heads, latent_dim]),
            mlp([trunk[-1], *heads, latent_dim]),
        )
        self.decoder = mlp([latent_dim, *decoder, n_vars])
        self.beta = hp["beta"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of cells x (B, G)."""
        h = self.trunk(x)
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        reconstruction = ((self.decoder(z) - x) ** 2).sum(dim=1).mean()
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(dim=1).mean()
        return reconstruction + self.beta * kl

    def flops_per_cell(self) -> int:
        """Return the floating-point operations of the products of one cell's step: 2 a weight
        forward, 4 backward.

        Backward the first layer has but 2, since its input needs no gradient.
        """
        weights = [layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear)]
        return 6 * sum(weights) - 2 * weights[0]


def mlp(widths: list[int]) -> nn.Sequential:
    """Return linear layers between the widths, with ReLU between them."""
    pairs = list(pairwise(widths))
    hidden = [
        module for n_in, n_out in pairs[:-1] for module in (nn.Linear(n_in, n_out), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(*pairs[-1]))


def plain_epoch(
    model: PlainVAE, x: np.ndarray, epochs: int, batch_size: int
) -> tuple[float, float]:
    """Return the mean seconds of an epoch on cells x (N, G) after the first, and the loss of the
    last one.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = DataLoader(Rows(x), batch_size=batch_size, shuffle=True)
    for epoch in range(1 + epochs):
        if epoch == 1:
            start = time.perf_counter()
        total = 0.0
        for batch in batches:
            loss = model(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
    return (time.perf_counter() - start) / epochs, total / len(x)
