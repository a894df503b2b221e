"""Training cells in balanced groups."""

import anndata as ad
import numpy as np
import pandas as pd

from sclatent.common.errors import UserError
from sclatent.io.expression import Values
from sclatent.io.expression import standardize as standardized


def balance(
    values: Values,
    groups: pd.Series,
    n: int,
    augment: bool = False,
    noise: float = 0.0,
    standardize: bool = False,
    seed: int = 0,
) -> ad.AnnData:
    """Draw n training cells of each group with replacement and return them, of the kind "training".

    values: all cells of a data set. groups: the group of each training cell, by name. augment puts all training cells before
    those drawn. noise is the standard deviation of Gaussian noise added to every value. standardize then centres each gene and
    divides it by its deviation over the cells returned, which var keeps as mean and std. X is CSR float32, or dense where values
    are scaled, noisy or standardised; obs drawn names the cell that each row was. Raises UserError where a training cell has no
    group.
    Source: the function balance in the code of Kolb 2022.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(values.training)
    missing = pd.Index(values.cells[rows]).difference(groups.index)
    if len(missing):
        raise UserError(
            f"{len(missing)} training cells have no group to balance by, the first {missing[0]}"
        )
    group = groups[values.cells[rows]].astype(str).to_numpy()
    drawn = np.concatenate([rng.choice(rows[group == name], n) for name in np.unique(group)])
    if augment:
        drawn = np.concatenate([rows, drawn])
    dense = values.mean is not None or noise or standardize
    x = values.dense(drawn) if dense else values.x[drawn]
    if noise:
        x = x + np.float32(noise) * rng.standard_normal(x.shape, dtype=np.float32)
    obs = pd.DataFrame(
        {"drawn": pd.Categorical(values.cells[drawn])},
        index=[f"row_{i}" for i in range(len(drawn))],
    )
    if not standardize:
        return ad.AnnData(x, obs=obs)
    # In double precision, in which the deviation of a constant gene is exactly 0.
    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    return ad.AnnData(
        standardized(x, mean, std),
        obs=obs,
        var=pd.DataFrame({"mean": mean, "std": std}).rename(index=str),
    )
