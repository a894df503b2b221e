"""The cells that models draw among real ones."""

import json
import textwrap

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.common.vocabulary import ALL, UNNAMED
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

METRICS = {"two_sample_auc": "AUC", "right_label": "right label"}
ORIGINS = {"real": Look("#BBBBBB", "o"), "drawn": Look("black", "o")}  # drawn for no type, too
PALE = ""


def drawn_cells(titles: dict[str, str], maps: ad.AnnData, scores: pd.DataFrame) -> Figure:
    """Draw one row a model, on its UMAP: real cells by type, drawn cells by the type that they were drawn for, real beside drawn.

    Where cells were drawn for conditions, a last panel shows those. The other cells are pale.

    titles: name to show by model. maps: file of the kind "drawn_map". scores: table of the kind "generation", of which each row
    tells the mean over groups for the seed that is shown.
    """
    cells = maps.obs.astype(str)
    cells[["x", "y"]] = maps.obsm["umap"]
    real = cells["origin"] == "real"
    types = looks_of({*maps.obs["cell_type"].cat.categories} - {ALL, UNNAMED})
    groups = looks_of_groups(sorted({*cells.loc[~real, "condition"]} - {ALL}))
    seeds, absent = json.loads(maps.uns["seed"]), json.loads(maps.uns["absent"])
    with plt.rc_context(STYLE):
        shape = (len(titles), 4 if groups else 3)
        figure, grid = plt.subplots(
            *shape, figsize=(WIDTH, 1.75 * len(titles) + 0.7), layout="constrained", squeeze=False
        )
        for axes, (model, title) in zip(grid, titles.items(), strict=True):
            if model in absent:
                name_row(axes[0], title)
                for axis in axes:
                    say(axis, textwrap.fill(absent[model], 35) if axis is axes[0] else "")
                continue
            name_row(
                axes[0],
                title,
                seeds[model],
                _likeness(scores[scores["model"] == model], seeds[model]),
            )
            _panels(axes, cells[cells["model"] == model], types, groups)
        for axis, shown in zip(
            grid[0],
            ("real by type", "drawn by type", "real and drawn", "drawn by condition"),
            strict=False,
        ):
            axis.set_title(shown)
        legend(figure, types, ORIGINS, groups)
    return figure


def _likeness(scores: pd.DataFrame, seed: int) -> str:
    """Return how like real ones the cells of a seed are, means over groups."""
    means = scores[scores["seed"] == seed].groupby("metric")["value"].mean()
    return ", ".join(
        f"{name} {means[metric]:.2f}" for metric, name in METRICS.items() if metric in means
    )


def _panels(
    axes: np.ndarray, cells: pd.DataFrame, types: dict[str, Look], groups: dict[str, Look]
) -> None:
    real = cells["origin"] == "real"
    _panel(axes[0], cells, cells["cell_type"].where(real, PALE), types)
    _panel(
        axes[1],
        cells,
        cells["cell_type"].replace({ALL: "drawn", UNNAMED: "drawn"}).where(~real, PALE),
        types | ORIGINS,
    )
    shuffled = cells.sample(frac=1, random_state=0)  # so that neither hides the other
    _panel(axes[2], shuffled, shuffled["origin"], ORIGINS)
    if groups:
        told = cells["condition"].where(~real, ALL).replace(ALL, PALE)
        _panel(axes[3], cells, told, groups)
        if (told == PALE).all():
            say(axes[3], "drawn for no condition")


def _panel(axis: Axes, cells: pd.DataFrame, labels: pd.Series, looks: dict[str, Look]) -> None:
    """Draw cells in the looks of their labels, pale ones below the others."""
    order = np.argsort(labels.to_numpy() != PALE, kind="stable")
    scatter(
        axis,
        cells[["x", "y"]].to_numpy()[order],
        labels.to_numpy()[order],
        {PALE: Look(UNMATCHED, "o"), **looks},
    )
