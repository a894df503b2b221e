"""Means of genes as predicted beside those of real treated cells."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import linregress

from sclatent.figures.predicted import TINY, panels
from sclatent.figures.style import COLORS, SMALL, STYLE

NAMED = 5  # genes
LETTER, LINE = 0.05, 0.09  # width and height of a name's letter, as shares of a panel
# Where a name can stand: in 16 directions of its point, ever farther away, in units of half its size.
SQUARE = [
    (x, y)
    for x, y in itertools.product((-1, -0.5, 0, 0.5, 1), repeat=2)
    if max(abs(x), abs(y)) == 1
]
AROUND = np.array([(r * x, r * y) for r in (1, 1.6, 2.5, 4, 6) for x, y in SQUARE])
OUTLINE = [patheffects.withStroke(linewidth=1.5, foreground="white")]


def gene_means(responses: pd.DataFrame, title: str) -> Figure:
    """Draw panels of a cell type: the mean of each gene in real treated cells, and in control cells or as a predictor has it.

    responses: table of the kind "responses" with control and treated cells. Above each panel stands R², the squared correlation
    with treated and with control cells; named are the genes that are the farthest from the regression line.
    """
    with plt.rc_context(STYLE):
        figure, shown = panels(responses, "control", title, height=1.2)
        figure.supxlabel("mean of real treated cells", fontsize=SMALL + 1)
        figure.supylabel("mean as predicted", fontsize=SMALL + 1)
        for axis, of_type, method in shown:
            means = of_type.pivot(index="gene", columns="method", values="mean")
            low, high = means.min(axis=None), means.max(axis=None)
            margin = 0.05 * (high - low)
            limits = (low - margin, high + margin)
            axis.set(xlim=limits, ylim=limits)
            axis.tick_params(labelsize=TINY, length=2, pad=1, labelleft=method == "control")
            axis.locator_params(nbins=4)
            _panel(axis, means["treated"], means[method], means["control"])
    return figure


def _panel(axis: Axes, treated: pd.Series, predicted: pd.Series, control: pd.Series) -> None:
    """Draw the means (G,) of a prediction beside those of real cells."""
    line = linregress(treated, predicted)
    residuals = predicted - (line.intercept + line.slope * treated)
    far = residuals.abs().sort_values(ascending=False, kind="stable").index[:NAMED]
    axis.axline((0, 0), slope=1, color="0.6", linestyle="--", linewidth=0.6)
    axis.axline((0, line.intercept), slope=line.slope, color="black", linewidth=0.6)
    axis.scatter(treated, predicted, s=1.5, linewidths=0, color=COLORS[0], rasterized=True)
    axis.scatter(treated[far], predicted[far], s=4, linewidths=0, color=COLORS[5])
    if axis.get_title():
        axis.title.set_text(f"{axis.get_title()}\n")  # room for what stands below it
    axis.set_title(f"R² {line.rvalue**2:.3f}", loc="left", fontsize=SMALL)
    axis.set_title(
        f"control {linregress(control, predicted).rvalue ** 2:.3f}", loc="right", fontsize=TINY
    )
    _name(axis, np.column_stack([treated, predicted]), treated.index.get_indexer(far), far)


def _name(axis: Axes, points: np.ndarray, chosen: np.ndarray, names: pd.Index) -> None:
    """Write the names of chosen genes near their points, of points (G, 2), where they hide the fewest others and no name."""
    points = axis.transLimits.transform(points)  # shares of the panel, as all that follows
    weights = np.ones(len(points))
    weights[chosen] = 30
    centres, sizes = np.empty((0, 2)), np.empty((0, 2))
    for gene, point in zip(names, points[chosen], strict=True):
        size = np.array([LETTER * len(gene), LINE])
        places = point + AROUND * (size / 2 + 0.03)
        hidden = (np.abs(places[:, None] - points) < size / 2).all(axis=2) @ weights
        overlaps = (np.abs(places[:, None] - centres) < (size + sizes) / 2).all(axis=2).sum(axis=1)
        outside = (np.abs(places - 0.5) > 0.5 - size / 2).any(axis=1)
        far = 30 * np.linalg.norm(places - point, axis=1)  # a panel's width is as bad as 30 points
        centre = places[np.argmin(hidden + far + weights.sum() * (overlaps + outside))]
        centres, sizes = np.vstack([centres, centre]), np.vstack([sizes, size])
        axis.annotate(
            gene,
            point,
            centre,
            xycoords="axes fraction",
            fontsize=TINY,
            ha="center",
            va="center",
            path_effects=OUTLINE,
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "shrinkA": 0, "shrinkB": 0},
        )
