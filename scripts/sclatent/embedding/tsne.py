"""t-SNE maps of latents, for the eye. Scores are computed on latents, the protocol of the PBMC3k report apart."""

import logging

import numpy as np
from sklearn.manifold import TSNE

# In three dimensions the tree is slow and the map is for the eye alone: distant cells are lumped together sooner.
ANGLES = {2: 0.5, 3: 0.8}


def tsne(
    latent: np.ndarray, n_components: int, perplexity: float, max_iter: int, seed: int, threads: int
) -> np.ndarray:
    """Return the t-SNE (n, n_components) of a latent (n, L), float32.

    scikit-learn's Barnes-Hut t-SNE with its defaults but for the arguments and the angle in three dimensions. A perplexity that n
    cells cannot have is lowered to (n - 1) / 3, and a latent with too few dimensions to start from its principal components
    starts at random. Source: van der Maaten 2014.
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
