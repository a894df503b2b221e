"""Maps of the cells that models draw among real cells, for the eye."""

import json
from collections.abc import Mapping

import anndata as ad
import numpy as np
import pandas as pd

from sclatent.common.vocabulary import ALL, EVALUATION_SEED
from sclatent.embedding.umap_map import umap
from sclatent.metrics.distances import principal_space, subsample

MOST_REAL = 2000  # real cells of a map, about as many as are drawn


def drawn_map(real: ad.AnnData, drawn: Mapping[str, ad.AnnData], n_neighbors: int) -> ad.AnnData:
    """Return a UMAP of each model's drawn cells together with real ones, an AnnData of the kind "drawn_map".

    real: file of the kind "preprocessed", of which at most MOST_REAL cells are taken at random. drawn: files of the kind "drawn"
    by model. The map is that of the leading principal components of these real cells alone.
    """
    rows = np.sort(
        subsample(np.arange(real.n_obs), MOST_REAL, np.random.default_rng(EVALUATION_SEED))
    )
    cells = real.X[rows].toarray()
    space = principal_space(cells, seed=EVALUATION_SEED)
    placed, of_real = space.transform(cells), _labels(real.obs.iloc[rows], "real")
    tables, maps = [of_real.iloc[:0].assign(model="")], [np.empty((0, 2), dtype=np.float32)]
    for model, adata in drawn.items():
        if adata.n_obs:
            maps.append(
                umap(
                    np.concatenate([placed, space.transform(adata.X)]), n_neighbors, EVALUATION_SEED
                )
            )
            tables.append(pd.concat([of_real, _labels(adata.obs, "drawn")]).assign(model=model))
    table = pd.concat(tables)
    table.index = pd.RangeIndex(len(table)).astype(str)
    notes = {
        name: json.dumps(
            {model: adata.uns[name] for model, adata in drawn.items() if name in adata.uns},
            default=int,
        )
        for name in ("seed", "absent")
    }
    table = table.astype("category")
    # Every type, also one of which no cell was taken, so that all have the looks that they have in other figures.
    table["cell_type"] = table["cell_type"].cat.set_categories(
        sorted({*table["cell_type"], *real.obs["cell_type"]})
    )
    return ad.AnnData(obs=table, obsm={"umap": np.concatenate(maps)}, uns=notes)


def _labels(obs: pd.DataFrame, origin: str) -> pd.DataFrame:
    """Return the text columns origin, cell_type and condition of cells."""
    condition = obs["condition"].astype(str) if "condition" in obs else ALL
    return pd.DataFrame(
        {"origin": origin, "cell_type": obs["cell_type"].astype(str), "condition": condition},
        index=obs.index,
    )
