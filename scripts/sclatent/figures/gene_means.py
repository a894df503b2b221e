"""Means of genes as predicted, beside those of real treated cells."""

import itertools
from typing import NamedTuple, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from sclatent.figures.panels import panels, read_responses
from sclatent.figures.style import COLORS, SMALL, STYLE, TINY

N_NAMED = 5  # genes with a name
LETTER_WIDTH, LINE_HEIGHT = 0.05, 0.09  # of a name, as shares of a panel
# Where a name may stand: in 16 directions of its point, at growing distances, in units of half the
# size of the name. The directions are points on the edge of a square.
DIRECTIONS = [
    (x, y)
    for x, y in itertools.product((-1, -0.5, 0, 0.5, 1), repeat=2)
    if max(abs(x), abs(y)) == 1
]
PLACES = np.array([(r * x, r * y) for r in (1, 1.6, 2.5, 4, 6) for x, y in DIRECTIONS])
# The cost of a place, in hidden points: of hiding a point with a name, and of a distance of the
# width of the panel.
NAMED_POINT, WHOLE_WIDTH = 30, 30
OUTLINE = [patheffects.withStroke(linewidth=1.5, foreground="white")]


class Line(NamedTuple):
    """A line of regression."""

    slope: float
    intercept: float
    r2: float  # squared correlation


def draw(title: str, real: dict[str, str], predicted: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    title
        Title of the figure.
    real
        Tables of the kind "responses" of real cells and of predictors without a model, by data set.
    predicted
        Tables of the same kind of a model, by data set. If there are none, the predictors without a
        model are drawn.
    """
    return gene_means(read_responses(real, predicted), title)


def gene_means(responses: pd.DataFrame, title: str) -> Figure:
    """Draw the mean of each gene as predicted against its mean in real treated cells.

    Above each panel stand R², the squared correlation with treated cells, and the one with control
    cells. The genes that are farthest from the regression line have names.

    Parameters
    ----------
    responses
        Table of the kind "responses" with control and treated cells.
    title
        Title of the figure.
    """
    with plt.rc_context(STYLE):
        figure, shown = panels(responses, "control", title, height=1.2)
        figure.supxlabel("mean of real treated cells", fontsize=SMALL + 1)
        figure.supylabel("mean as predicted", fontsize=SMALL + 1)
        for axis, table, method in shown:
            means = table.pivot(index="gene", columns="method", values="mean")
            low, high = means.min(axis=None), means.max(axis=None)
            margin = 0.05 * (high - low)
            limits = (low - margin, high + margin)
            axis.set(xlim=limits, ylim=limits)
            axis.tick_params(labelsize=TINY, length=2, pad=1, labelleft=method == "control")
            axis.locator_params(nbins=4)
            _panel(axis, means.loc[:, "treated"], means.loc[:, method], means.loc[:, "control"])
    return figure


def _panel(axis: Axes, treated: pd.Series, predicted: pd.Series, control: pd.Series) -> None:
    """Draw the means (G,) of a prediction beside those of real cells."""
    line = _regression(treated, predicted)
    residuals = predicted - (line.intercept + line.slope * treated)
    farthest = residuals.abs().sort_values(ascending=False, kind="stable").index[:N_NAMED]
    axis.axline((0, 0), slope=1, color="0.6", linestyle="--", linewidth=0.6)
    axis.axline((0, line.intercept), slope=line.slope, color="black", linewidth=0.6)
    axis.scatter(treated, predicted, s=1.5, linewidths=0, color=COLORS[0], rasterized=True)
    axis.scatter(treated[farthest], predicted[farthest], s=4, linewidths=0, color=COLORS[5])
    if axis.get_title():
        axis.title.set_text(f"{axis.get_title()}\n")  # room for the two titles below it
    axis.set_title(f"R² {line.r2:.3f}", loc="left", fontsize=SMALL)
    axis.set_title(f"control {_regression(control, predicted).r2:.3f}", loc="right", fontsize=TINY)
    named = dict(zip(farthest, treated.index.get_indexer(farthest), strict=True))
    _write_names(axis, np.column_stack([treated, predicted]), named)


def _regression(x: pd.Series, y: pd.Series) -> Line:
    fit = cast(tuple[float, float, float, float, float], stats.linregress(x, y))
    slope, intercept, r = fit[:3]
    return Line(slope, intercept, r**2)


def _write_names(axis: Axes, points: np.ndarray, named: dict[str, int]) -> None:
    """Write names near their points, where they hide few other points and no other name.

    points: (G, 2). named: the row of points by name.
    """
    points = axis.transLimits.transform(points)  # shares of the panel, as all that follows
    weights = np.ones(len(points))
    weights[list(named.values())] = NAMED_POINT
    centres, sizes = np.empty((0, 2)), np.empty((0, 2))
    for name, row in named.items():
        size = np.array([LETTER_WIDTH * len(name), LINE_HEIGHT])
        places = points[row] + PLACES * (size / 2 + 0.03)
        cost = _cost(places, size, points, weights, points[row])
        cost += weights.sum() * _misplaced(places, size, centres, sizes)
        centre = places[np.argmin(cost)]
        centres, sizes = np.vstack([centres, centre]), np.vstack([sizes, size])
        axis.annotate(
            name,
            points[row],
            centre,
            xycoords="axes fraction",
            fontsize=TINY,
            ha="center",
            va="center",
            path_effects=OUTLINE,
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "shrinkA": 0, "shrinkB": 0},
        )


def _cost(
    places: np.ndarray, size: np.ndarray, points: np.ndarray, weights: np.ndarray, point: np.ndarray
) -> np.ndarray:
    """Return the cost (k,) of places (k, 2): the points that are hidden, and the distance."""
    hidden = (np.abs(places[:, None] - points) < size / 2).all(axis=2) @ weights
    return hidden + WHOLE_WIDTH * np.linalg.norm(places - point, axis=1)


def _misplaced(
    places: np.ndarray, size: np.ndarray, centres: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Return per place (k,) how many names it overlaps, and one more if it leaves the panel.

    centres, sizes: of the names that are already written (m, 2).
    """
    overlaps = (np.abs(places[:, None] - centres) < (size + sizes) / 2).all(axis=2).sum(axis=1)
    return overlaps + (np.abs(places - 0.5) > 0.5 - size / 2).any(axis=1)
