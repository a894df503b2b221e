"""The panels of figures of predicted treated cells: what they show, and where."""

import math
import textwrap
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import SMALL, WIDTH, say
from sclatent.io.tables import concat_tables, read_table

PANELS_PER_ROW = 6  # at most
# Cells that are no prediction, and their titles.
REAL_TITLES = {"control": "no change", "treated": "real treated"}


class Panel(NamedTuple):
    """A panel and what it is to show."""

    axis: Axes
    responses: pd.DataFrame  # of the kind "responses", of one cell type in one condition
    method: str


def read_responses(real: dict[str, str], predicted: dict[str, str]) -> pd.DataFrame:
    """Read a table of the kind "responses" from several.

    Parameters
    ----------
    real
        Tables of real cells and of predictors without a model, by data set.
    predicted
        Tables of a model, by data set. If there are any, predictors without a model are left out.
    """
    responses = _read(real)
    if predicted:
        responses = responses.loc[responses["method"].isin(list(REAL_TITLES))]
        responses = concat_tables([responses, *map(_read_one, predicted.values())], "responses")
    return responses


def _read(tables: dict[str, str]) -> pd.DataFrame:
    return concat_tables(list(map(_read_one, tables.values())), "responses")


def _read_one(path: str) -> pd.DataFrame:
    return read_table(path, "responses")


def panels(
    responses: pd.DataFrame, first: str, title: str, height: float
) -> tuple[Figure, list[Panel]]:
    """Lay out the panels of a figure: for each cell type real cells, then the predictors.

    A panel has its method above, and on the left its cell type, with the seed of the model if there
    is one.

    Parameters
    ----------
    responses
        Table of the kind "responses".
    first
        The real cells that open the panels of each type: "control" or "treated".
    title
        Title of the figure.
    height
        Of a panel, inches.

    Returns
    -------
    The figure, and the panels that have something to show.
    """
    predictors = [name for name in responses["method"].unique() if name not in REAL_TITLES]
    methods = [first, *(predictors or ["predicted"])]
    types = [table for _, table in responses.groupby(["condition", "cell_type"], sort=False)]
    # The name of a type takes a place, too.
    types_per_row = max(1, PANELS_PER_ROW // (len(methods) + 1))
    n_columns = min(PANELS_PER_ROW, types_per_row * len(methods))
    rows_of_type = math.ceil(len(methods) / n_columns)
    rows = max(1, math.ceil(len(types) / types_per_row) * rows_of_type)
    figure, grid = plt.subplots(
        rows, n_columns, figsize=(WIDTH, rows * height + 0.4), layout="constrained", squeeze=False
    )
    figure.suptitle(title)
    for axis in grid.flat:
        axis.axis("off")
    if not types:
        say(grid[0, 0], "too few cells of every type")
    n_conditions = len(responses["condition"].unique())
    shown = []
    by_type = grid.reshape(-1, rows_of_type * n_columns // types_per_row)  # a row per type
    for i, (axes, table) in enumerate(zip(by_type, types, strict=False)):
        axes[0].set_ylabel(_label(table, n_conditions), fontsize=SMALL + 1)
        for axis, method in zip(axes, methods, strict=False):
            axis.axis("on")
            heading = REAL_TITLES.get(method, method.replace("_", " "))
            has_heading = i < types_per_row or rows_of_type > 1
            axis.set_title(heading if has_heading else "", fontsize=SMALL)
            if (table["method"] == method).any():
                shown.append(Panel(axis, table, method))
            else:
                say(axis, "no prediction")
    return figure, shown


def _label(responses: pd.DataFrame, n_conditions: int) -> str:
    """Return the cell type of responses, the condition if there are several, and the seed."""
    words = [responses["cell_type"].iloc[0]]
    if n_conditions > 1:
        words.append(responses["condition"].iloc[0])
    words += [f"seed {seed}" for seed in np.unique(responses["seed"].dropna())]
    return "\n".join(textwrap.fill(word, 18) for word in words)
