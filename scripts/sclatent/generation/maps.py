"""Maps of the cells that models draw among real cells, for the eye."""

import json
from collections.abc import Mapping
from typing import cast

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.vocabulary import ALL, EVALUATION_SEED
from sclatent.embedding.umap_map import umap
from sclatent.metrics.distances import subsample
from sclatent.metrics.principal_components import principal_space

MOST_REAL = 2000  # real cells of a map, about as many as are drawn


def drawn_map(real: ad.AnnData, drawn: Mapping[str, ad.AnnData], n_neighbors: int) -> ad.AnnData:
    """Return a UMAP of each model's drawn cells together with real cells.

    Parameters
    ----------
    real
        File of the kind "preprocessed". At most `MOST_REAL` of its cells are taken at random.
    drawn
        Files of the kind "drawn", by model.
    n_neighbors
        Number of neighbours of each cell in UMAP.

    Returns
    -------
    An AnnData of the kind "drawn_map". The map is made in the leading principal components of
    these real cells alone.
    """
    rng = np.random.default_rng(EVALUATION_SEED)
    rows = np.sort(subsample(np.arange(real.n_obs), MOST_REAL, rng))
    cells = cast(sparse.csr_matrix, real.X)[rows].toarray()  # as that kind of file has it
    space = principal_space(cells, seed=EVALUATION_SEED)
    real_points, real_labels = space.transform(cells), _labels(real[rows], "real")
    tables, maps = [real_labels.iloc[:0].assign(model="")], [np.empty((0, 2), dtype=np.float32)]
    for model, adata in drawn.items():
        if adata.n_obs:
            points = np.concatenate([real_points, space.transform(adata.X)])
            maps.append(umap(points, n_neighbors, EVALUATION_SEED))
            labels = pd.concat([real_labels, _labels(adata, "drawn")])
            tables.append(labels.assign(model=model))
    table = pd.concat(tables)
    table.index = pd.RangeIndex(len(table)).astype(str)
    table = table.astype("category")
    # Also types without a chosen cell, so that every type looks as it does in other figures.
    all_types = sorted({*table["cell_type"], *real.obs["cell_type"]})
    table["cell_type"] = table["cell_type"].cat.set_categories(all_types)
    notes = {name: _by_model(drawn, name) for name in ("seed", "absent")}
    result = ad.AnnData(obs=table, uns=notes)
    result.obsm["umap"] = np.concatenate(maps)
    return result


def _by_model(drawn: Mapping[str, ad.AnnData], name: str) -> str:
    """Return a note in uns of each model's drawn cells, by model, as JSON."""
    notes = {model: adata.uns[name] for model, adata in drawn.items() if name in adata.uns}
    return json.dumps(notes, default=int)


def _labels(cells: ad.AnnData, origin: str) -> pd.DataFrame:
    """Return the text columns origin, cell_type and condition of cells."""
    obs = cast(pd.DataFrame, cells.obs)
    condition = obs["condition"].astype(str) if "condition" in obs else ALL
    return pd.DataFrame(
        {"origin": origin, "cell_type": obs["cell_type"].astype(str), "condition": condition},
        index=obs.index,
    )
