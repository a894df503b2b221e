"""What the figures of predicted treated cells share: which cells and methods they show, and where."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import SMALL, WIDTH, say

COLUMNS = 6
REAL = {
    "control": "no change",
    "treated": "real treated",
}  # cells that are no prediction, and what to call them
TINY = SMALL - 1  # points


def panels(
    responses: pd.DataFrame, first: str, title: str, height: float
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame, str]]]:
    """Return a figure of panels of one height in inches, and of each panel what it is to show: rows of a cell type, and a method.

    responses: table of the kind "responses". first: the real cells that open the panels of each type; the predictors follow, at
    most COLUMNS panels a row. Methods stand above, cell types at the left, with the seed of the model if there is one.
    """
    methods = [
        first,
        *([name for name in responses["method"].unique() if name not in REAL] or ["predicted"]),
    ]
    types = [of_type for _, of_type in responses.groupby(["condition", "cell_type"], sort=False)]
    abreast = max(
        1, COLUMNS // (len(methods) + 1)
    )  # types in a row, of which the name takes a place, too
    n_columns = min(COLUMNS, abreast * len(methods))
    rows_of_type = math.ceil(len(methods) / n_columns)
    rows = max(1, math.ceil(len(types) / abreast) * rows_of_type)
    figure, grid = plt.subplots(
        rows, n_columns, figsize=(WIDTH, rows * height + 0.4), layout="constrained", squeeze=False
    )
    figure.suptitle(title)
    for axis in grid.flat:
        axis.axis("off")
    if not types:
        say(grid[0, 0], "too few cells of every type")
    shown = []
    places = grid.reshape(-1, rows_of_type * n_columns // abreast)  # a row a type
    for i, (axes, of_type) in enumerate(zip(places, types, strict=False)):
        axes[0].set_ylabel(_label(of_type, responses["condition"].nunique()), fontsize=SMALL + 1)
        for axis, method in zip(axes, methods, strict=False):
            axis.axis("on")
            heading = REAL.get(method, method.replace("_", " "))
            axis.set_title(heading if i < abreast or rows_of_type > 1 else "", fontsize=SMALL)
            if (of_type["method"] == method).any():
                shown.append((axis, of_type, method))
            else:
                say(axis, "no prediction")
    return figure, shown


def _label(of_type: pd.DataFrame, n_conditions: int) -> str:
    """Return the cell type of some responses, the condition where there are several, and the seed of the model."""
    words = [of_type["cell_type"].iloc[0]]
    if n_conditions > 1:
        words.append(of_type["condition"].iloc[0])
    words += [f"seed {seed}" for seed in np.unique(of_type["seed"].dropna())]
    return "\n".join(textwrap.fill(word, 18) for word in words)
