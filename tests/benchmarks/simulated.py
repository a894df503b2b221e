"""Counts drawn at random, for benchmarks of time and memory."""

import numpy as np
from scipy import sparse


def draw_rates(rng: np.random.Generator, n_genes: int, density: float) -> np.ndarray:
    """Draw the rate (n_genes,) at which each gene is detected, float32, of mean density."""
    rates = rng.lognormal(0, 1, n_genes).astype(np.float32)
    for _ in range(20):  # rates above 1 are cut, so the mean is met by approximation
        rates = np.minimum(rates * density / rates.mean(), 0.95)
    return rates


def draw_counts(rng: np.random.Generator, n: int, rates: np.ndarray) -> sparse.csr_matrix:
    """Draw the counts (n, n_genes) of n cells, float32: which genes are detected by their rates,
    and how often.
    """
    detected = rng.random((n, len(rates)), dtype=np.float32) < rates
    rows, columns = np.nonzero(detected)
    counts = 1 + rng.poisson(rates[columns])
    return sparse.csr_matrix((counts.astype(np.float32), (rows, columns)), shape=detected.shape)
