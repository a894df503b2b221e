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
    """Draw n_cells of each class in each of the conditions ctrl and trtmnt.

    A class has the means 10 U(0,1) and deviations U(0,1) / 2; its treated cells are shifted by effect + N(0,1) / 2 in each
    dimension, and their deviations by N(0,1) / 100. Drawn anew until no class is shifted as far as the nearest two classes are
    apart, so that the classes and not the conditions lie apart. Returns X (2 * n_classes * n_cells, n_vars), CSR float32, which
    are no counts (uns["real"]), with obs cell_type and condition, and the control in uns. Raises UserError where 1,000 draws
    give none such.
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
            f"no blobs of {n_classes} classes in {n_vars} dimensions keep apart at effect {effect}; lower it"
        )
    control = mean + deviation * rng.standard_normal((n_cells, *shape))
    treatment = mean + shift + treated * rng.standard_normal((n_cells, *shape))
    values = np.concatenate([control, treatment]).reshape(-1, n_vars).astype(np.float32)
    obs = pd.DataFrame(
        {
            "cell_type": [f"class_{i}" for i in range(n_classes)] * (2 * n_cells),
            "condition": np.repeat(["ctrl", "trtmnt"], n_cells * n_classes),
        },
        index=[f"cell_{i:05d}" for i in range(len(values))],
    )
    adata = ad.AnnData(
        sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=[f"x{i}" for i in range(n_vars)])
    )
    adata.uns |= {"control": "ctrl", "real": True}
    return adata
