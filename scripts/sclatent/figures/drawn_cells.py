"""The cells that models draw, among real ones."""

import json
import textwrap

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.common.vocabulary import ALL, UNNAMED
from sclatent.figures.cells import array_of, column_of
from sclatent.figures.style import (
    STYLE,
    UNMATCHED,
    WIDTH,
    Look,
    legend,
    looks_of,
    looks_of_groups,
    name_row,
    say,
    scatter,
)
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import concat_tables, read_table

# Titles of the scores beside each model.
LIKENESS_TITLES = {"two_sample_auc": "AUC", "right_label": "right label"}
# "drawn" is also the look of cells that were drawn for no type.
ORIGINS = {"real": Look("#BBBBBB", "o"), "drawn": Look("black", "o")}
PALE = ""  # the label of cells that stay in the background
PANEL_TITLES = ("real by type", "drawn by type", "real and drawn", "drawn by condition")


def draw(models: dict[str, str], drawn_map: str, generation: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model.
    drawn_map
        File of this kind.
    generation
        Tables of this kind by model.
    """
    scores = [read_table(path, "generation") for path in generation.values()]
    return drawn_cells(models, read_matrix(drawn_map), concat_tables(scores, "generation"))


def drawn_cells(titles: dict[str, str], maps: ad.AnnData, scores: pd.DataFrame) -> Figure:
    """Draw a row per model on its UMAP: real cells by type, drawn cells by type, and both.

    If cells were drawn for conditions, a last panel shows these. All other cells are pale.

    Parameters
    ----------
    titles
        By model.
    maps
        AnnData of the kind "drawn_map".
    scores
        Table of the kind "generation". Its means over groups, for the seed that is shown, stand
        beside each model.
    """
    cells = _cells(maps)
    conditions = {*cells.loc[cells["origin"] == "drawn", "condition"]} - {ALL}
    types = looks_of({*column_of(maps, "cell_type").cat.categories} - {ALL, UNNAMED})
    groups = looks_of_groups(sorted(conditions))
    seeds, absent = json.loads(maps.uns["seed"]), json.loads(maps.uns["absent"])
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(titles),
            4 if groups else 3,
            figsize=(WIDTH, 1.75 * len(titles) + 0.7),
            layout="constrained",
            squeeze=False,
        )
        for axes, (model, title) in zip(grid, titles.items(), strict=True):
            if model in absent:
                name_row(axes[0], title)
                say(axes[0], textwrap.fill(absent[model], 35))
                for axis in axes[1:]:
                    say(axis, "")
                continue
            of_seed = scores.loc[(scores["model"] == model) & (scores["seed"] == seeds[model])]
            name_row(axes[0], title, seeds[model], _likeness(of_seed))
            _panels(axes, cells.loc[cells["model"] == model], types, groups)
        for axis, title in zip(grid[0], PANEL_TITLES, strict=False):
            axis.set_title(title)
        legend(figure, types, ORIGINS, groups)
    return figure


def _cells(maps: ad.AnnData) -> pd.DataFrame:
    """Return model, origin, cell type and condition of cells as text, and their place (x, y)."""
    cells = pd.DataFrame(
        {name: column_of(maps, str(name)).astype(str) for name in maps.obs.columns}
    )
    points = array_of(maps, "umap")
    return cells.assign(x=points[:, 0], y=points[:, 1])


def _likeness(scores: pd.DataFrame) -> str:
    """Say how much drawn cells are like real ones: means over groups, of the scores of a seed."""
    means = scores.groupby("metric")["value"].mean().to_dict()
    known = {metric: title for metric, title in LIKENESS_TITLES.items() if metric in means}
    return ", ".join(f"{title} {means[metric]:.2f}" for metric, title in known.items())


def _panels(
    axes: np.ndarray, cells: pd.DataFrame, types: dict[str, Look], groups: dict[str, Look]
) -> None:
    is_real = (cells["origin"] == "real").to_numpy()
    cell_types, conditions = cells["cell_type"].to_numpy(), cells["condition"].to_numpy()
    drawn_for = np.where(np.isin(cell_types, [ALL, UNNAMED]), "drawn", cell_types)
    _panel(axes[0], cells, np.where(is_real, cell_types, PALE), types)
    _panel(axes[1], cells, np.where(is_real, PALE, drawn_for), types | ORIGINS)
    shuffled = cells.sample(frac=1, random_state=0)  # so that neither hides the other
    _panel(axes[2], shuffled, shuffled["origin"].to_numpy(), ORIGINS)
    if groups:
        labels = np.where(is_real | (conditions == ALL), PALE, conditions)
        _panel(axes[3], cells, labels, groups)
        if (labels == PALE).all():
            say(axes[3], "drawn for no condition")


def _panel(axis: Axes, cells: pd.DataFrame, labels: np.ndarray, looks: dict[str, Look]) -> None:
    """Draw cells in the looks of their labels (n,), the pale ones below the others."""
    order = np.argsort(labels != PALE, kind="stable")
    points = cells.loc[:, ["x", "y"]].to_numpy()
    scatter(axis, points[order], labels[order], {PALE: Look(UNMATCHED, "o"), **looks})
