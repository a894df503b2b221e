"""t-SNE maps of latents, for the eye.

Scores are computed on latents. The only exception is kmeans_tsne, the PBMC3k report's protocol.
"""

import logging

import numpy as np
from sklearn.manifold import TSNE

# Angle of Barnes-Hut by number of dimensions. In three dimensions the algorithm is slow and the map
# is for the eye alone, so a larger angle lumps distant cells together sooner.
ANGLES = {2: 0.5, 3: 0.8}


def tsne(
    latent: np.ndarray, n_components: int, perplexity: float, max_iter: int, seed: int, threads: int
) -> np.ndarray:
    """Return the t-SNE map of a latent, by scikit-learn's Barnes-Hut t-SNE.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L). If L is smaller than n_components, the map starts at
        random instead of from principal components.
    n_components
        Dimensions of the map: 2 or 3.
    perplexity
        Perplexity; (n - 1) / 3 if that is smaller, with a warning.
    max_iter
        Number of iterations.
    seed
        Seed of all that is random.
    threads
        Number of threads.

    Returns
    -------
    The map, (n, n_components), float32.

    Source
    ------
    van der Maaten 2014.
    """
    possible = (len(latent) - 1) / 3
    if perplexity > possible:
        logging.warning(
            "perplexity %g is lowered to %g, as there are %d cells",
            perplexity,
            possible,
            len(latent),
        )
    model = TSNE(
        n_components,
        perplexity=min(perplexity, possible),
        max_iter=max_iter,
        angle=ANGLES[n_components],
        init="pca" if latent.shape[1] >= n_components else "random",
        random_state=seed,
        n_jobs=threads,
    )
    return model.fit_transform(latent).astype(np.float32)
