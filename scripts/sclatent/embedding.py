"""Maps of latents for the eye: t-SNE and UMAP. Scores are computed on latents, the report's t-SNE protocol apart."""

import numpy as np


def tsne(latent: np.ndarray, n_components: int, perplexity: float, max_iter: int, seed: int, threads: int) -> np.ndarray:
    """Return the t-SNE (n, n_components) of a latent (n, L), float32; scikit-learn's, otherwise with its defaults.

    A perplexity that n cells cannot have is lowered to (n - 1) / 3. In three dimensions, where the tree is slow and the map is
    for the eye alone, distant cells are lumped together sooner (angle 0.8 instead of 0.5). Source: van der Maaten 2014.
    """
    from sklearn.manifold import TSNE

    perplexity = min(perplexity, (len(latent) - 1) / 3)
    angle = 0.8 if n_components == 3 else 0.5
    model = TSNE(n_components, perplexity=perplexity, max_iter=max_iter, angle=angle, random_state=seed, n_jobs=threads)
    return model.fit_transform(latent).astype(np.float32)


def umap(latent: np.ndarray, n_neighbors: int, seed: int) -> np.ndarray:
    """Return the two-dimensional UMAP (n, 2) of a latent (n, L), float32, otherwise with umap-learn's defaults.

    The neighbours are exact and come from scikit-learn, which spares the compilation of umap's own search. With a seed, UMAP
    uses one thread. Source: McInnes, Healy and Melville 2018.
    """
    from sklearn.neighbors import NearestNeighbors
    from umap import UMAP

    n_neighbors = min(n_neighbors, len(latent) - 1)
    distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(latent).kneighbors(latent)
    model = UMAP(n_neighbors=n_neighbors, random_state=seed, n_jobs=1, precomputed_knn=(indices, distances, None))
    return model.fit_transform(latent).astype(np.float32)
