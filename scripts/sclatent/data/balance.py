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
    """Draw the same number of training cells from each group, with replacement.

    Parameters
    ----------
    values
        All cells of a data set, of G genes.
    groups
        Group of each training cell, by its name.
    n
        Cells drawn per group.
    augment
        Whether all training cells stand before the drawn ones.
    noise
        Standard deviation of Gaussian noise that is added to every value.
    standardize
        Whether each gene is centred and divided by its standard deviation over the returned cells.
    seed
        Seed of the draw and of the noise.

    Returns
    -------
    ad.AnnData
        Of the kind "training". X is CSR float32, or dense if values are scaled, noisy or
        standardised. obs["drawn"] names the cell that each row repeats. With `standardize`, var
        holds the mean and the standard deviation (n) of each gene before it.

    Raises
    ------
    UserError
        If a training cell has no group.

    Source: the function balance in the code of Kolb 2022.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(values.training)
    missing = pd.Index(values.cells[rows]).difference(groups.index)
    if len(missing):
        raise UserError(
            f"{len(missing)} training cells have no group to balance by, the first {missing[0]}"
        )
    group = groups.loc[values.cells[rows]].to_numpy().astype(str)
    drawn = np.concatenate([rng.choice(rows[group == name], n) for name in np.unique(group)])
    if augment:
        drawn = np.concatenate([rows, drawn])
    dense = values.mean is not None or noise or standardize
    x = values.dense(drawn) if dense else values.x[drawn]
    if noise:
        x = x + np.float32(noise) * rng.standard_normal(x.shape, dtype=np.float32)
    obs = pd.DataFrame(
        {"drawn": pd.Categorical(values.cells[drawn])},
        index=pd.Index([f"row_{i}" for i in range(len(drawn))]),
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
