"""Principal components of cells, by scikit-learn."""

import numpy as np
from sklearn.decomposition import PCA


def leading_components(shape: tuple[int, int], n_pcs: int, seed: int) -> PCA:
    """Return a PCA, not yet fitted, that finds the leading components of cells by ARPACK.

    Parameters
    ----------
    shape
        Numbers of cells and genes, (n, G), of the matrix that it will be fitted on.
    n_pcs
        Number of components; n - 1 or G - 1 if that is smaller.
    seed
        Seed of ARPACK's first vector.
    """
    return PCA(min(n_pcs, min(shape) - 1), svd_solver="arpack", random_state=seed)


def principal_space(real: np.ndarray, n_pcs: int = 50, seed: int = 0) -> PCA:
    """Return the principal components of real cells; its `transform` projects any cells on them.

    Fit it on control and treated cells together: without the control cells it hardly holds the
    direction of the treatment.

    Parameters
    ----------
    real
        Expression of the cells, (n, G).
    n_pcs
        Largest number of components. There are fewer if fewer have any variance.
    seed
        Seed of the decomposition.

    Notes
    -----
    The cells that it was fitted on spread a little more in it than other cells of their kind. This
    keeps the distance between them and a perfect prediction above 0; the effect shrinks with the
    number of cells.
    """
    space = leading_components(real.shape, n_pcs, seed).fit(real)
    singular_values = np.asarray(space.singular_values_)
    smallest = singular_values[0] * max(real.shape) * np.finfo(real.dtype).eps
    rank = int((singular_values > smallest).sum())
    # Beyond the rank, ARPACK returns noise of its own, which no seed repeats.
    if 0 < rank < len(singular_values):
        space = PCA(rank, svd_solver="full").fit(real)
    return space
