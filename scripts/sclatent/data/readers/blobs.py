"""Gaussian classes in two conditions: data with known answers."""

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial.distance import pdist

from sclatent.common.errors import UserError


def make_blobs(
    n_vars: int = 16, n_classes: int = 5, n_cells: int = 350, effect: float = 1.2, seed: int = 0
) -> ad.AnnData:
    """Draw cells of Gaussian classes in the conditions ctrl and trtmnt.

    A class has the means 10 U(0, 1) and the standard deviations U(0, 1) / 2. Its treated cells are
    shifted by effect + N(0, 1) / 2 in each dimension, and their deviations by N(0, 1) / 100. The
    parameters are drawn again until every class is shifted by less than the distance between the
    nearest two classes: the cells then separate by class and not by condition.

    Parameters
    ----------
    n_vars
        Dimensions.
    n_classes
        Classes.
    n_cells
        Cells of each class in each condition.
    effect
        Mean shift of each dimension by the treatment.
    seed
        Seed of all draws.

    Returns
    -------
    ad.AnnData
        X (2 * n_classes * n_cells, n_vars), CSR float32; uns["real"] marks that these values are
        not counts. obs holds cell_type and condition, uns the control.

    Raises
    ------
    UserError
        If 1,000 draws of the parameters give no such classes.

    Source: the tutorial of Kolb 2022.
    """
    rng = np.random.default_rng(seed)
    shape = (n_classes, n_vars)
    for _ in range(1000):
        mean = 10 * rng.random(shape)
        deviation = rng.random(shape) / 2
        shift = effect + rng.standard_normal(shape) / 2
        treated = np.abs(deviation + rng.standard_normal(shape) / 100)
        if np.linalg.norm(shift, axis=1).max() < min(pdist(mean).min(), pdist(mean + shift).min()):
            break
    else:
        raise UserError(
            f"no blobs of {n_classes} classes in {n_vars} dimensions keep apart at effect "
            f"{effect}; lower it"
        )
    control = mean + deviation * rng.standard_normal((n_cells, *shape))
    treatment = mean + shift + treated * rng.standard_normal((n_cells, *shape))
    values = np.concatenate([control, treatment]).reshape(-1, n_vars).astype(np.float32)
    obs = pd.DataFrame(
        {
            "cell_type": [f"class_{i}" for i in range(n_classes)] * (2 * n_cells),
            "condition": np.repeat(["ctrl", "trtmnt"], n_cells * n_classes),
        },
        index=pd.Index([f"cell_{i:05d}" for i in range(len(values))]),
    )
    var = pd.DataFrame(index=pd.Index([f"x{i}" for i in range(n_vars)]))
    uns = {"control": "ctrl", "real": True}
    return ad.AnnData(sparse.csr_matrix(values), obs=obs, var=var, uns=uns)
