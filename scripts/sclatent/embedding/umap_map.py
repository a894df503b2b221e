"""UMAP maps of latents, for the eye."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from umap import UMAP


def umap(latent: np.ndarray, n_neighbors: int, seed: int) -> np.ndarray:
    """Return the two-dimensional UMAP (n, 2) of a latent (n, L), float32, otherwise with umap-learn's defaults.

    The neighbours are exact and come from scikit-learn, which spares the compilation of umap's own search; there are at most
    n - 1. With a seed, UMAP uses one thread. Source: McInnes, Healy and Melville 2018.
    """
    n_neighbors = min(n_neighbors, len(latent) - 1)
    distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors(latent)
    model = UMAP(
        n_neighbors=n_neighbors,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(indices, distances, None),
    )
    return model.fit_transform(latent).astype(np.float32)
