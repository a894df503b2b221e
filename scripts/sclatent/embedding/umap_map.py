"""UMAP maps of latents, for the eye."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from umap import UMAP


def umap(latent: np.ndarray, n_neighbors: int, seed: int) -> np.ndarray:
    """Return the two-dimensional UMAP of a latent, with umap-learn's defaults for the rest.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L).
    n_neighbors
        Number of neighbours of each cell; n - 1 if that is smaller.
    seed
        Seed of all that is random. With a seed, UMAP uses one thread.

    Returns
    -------
    The map, (n, 2), float32.

    Notes
    -----
    Neighbours are exact and come from scikit-learn, which avoids the compilation of umap's own
    search.

    Source
    ------
    McInnes, Healy and Melville 2018.
    """
    n_neighbors = min(n_neighbors, len(latent) - 1)
    distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors(latent)
    model = UMAP(
        n_neighbors=n_neighbors,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(indices, distances, None),
    )
    return np.asarray(model.fit_transform(latent), dtype=np.float32)
