"""What all figures share: sizes for print, colours, scatter plots of cells, and how a figure is saved."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from sclatent.io.atomic import replacing

WIDTH = 7.1  # inches, two columns of a journal
SMALL = 6  # points, of what need not be read at once; within heat maps and rankings one less
STYLE = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": 7,
    "figure.titlesize": 8,
    "axes.linewidth": 0.6,
    "svg.hashsalt": "sclatent",
    "pdf.fonttype": 42,
}
# Ten colours that stay apart for colour-blind readers: Okabe and Ito 2008 without black, with Tol's indigo, wine and olive.
COLORS = [
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#332288",
    "#882255",
    "#999933",
]
# Of conditions and batches, so that none is taken for a cell type.
GROUP_COLORS = ["#444444", "#EE7733", "#33BBEE", "#CC3311", "#009988", "#EE3377"]
MARKERS = ["o", "^", "s", "D", "v"]  # a new one for every ten categories
UNMATCHED = "#DDDDDD"
MOST_DRAWN = 10_000  # cells of a map: more of them hide each other


class Look(NamedTuple):
    """How a category of cells is drawn."""

    color: str
    marker: str


def looks_of(categories: Iterable[str]) -> dict[str, Look]:
    """Return a look for each category: the same for the same categories in every figure."""
    return {
        name: Look(COLORS[i % len(COLORS)], MARKERS[i // len(COLORS) % len(MARKERS)])
        for i, name in enumerate(sorted(categories))
    }


def looks_of_groups(groups: Iterable[str]) -> dict[str, Look]:
    """Return a look for each condition."""
    return {name: Look(GROUP_COLORS[i % len(GROUP_COLORS)], "o") for i, name in enumerate(groups)}


def scatter(
    axis: Axes,
    points: np.ndarray,
    labels: Iterable[str],
    looks: Mapping[str, Look],
    title: str = "",
) -> None:
    """Draw cells (n, 2 or 3) in the looks of their labels (n,), at most MOST_DRAWN, evenly spread, without ticks."""
    step = -(-len(points) // MOST_DRAWN)
    points, labels = points[::step], np.asarray(labels)[::step]
    size = 6 if len(points) < 1000 else 2.5
    of_cell = pd.Series(labels).map({name: look.marker for name, look in looks.items()}).to_numpy()
    colors = pd.Series(labels).map({name: look.color for name, look in looks.items()}).to_numpy()
    for marker in dict.fromkeys(look.marker for look in looks.values()):
        here = of_cell == marker
        axis.scatter(
            *points[here].T, c=colors[here], marker=marker, s=size, linewidths=0, rasterized=True
        )
    without_ticks(axis)
    axis.set_title(title)


def without_ticks(axis: Axes) -> None:
    """Leave out the ticks of a map, whose units mean nothing."""
    axis.set(xticks=[], yticks=[], **({"zticks": []} if axis.name == "3d" else {}))


def name_row(axis: Axes, title: str, seed: int | None = None, below: str = "") -> None:
    """Write at the left of a row of panels which model and seed it shows, and words below."""
    name = textwrap.fill(title if seed is None else f"{title}, seed {seed}", 28)
    axis.set_ylabel("\n".join(filter(None, [name, below])))


def say(axis: Axes, words: str) -> None:
    """Write words in the middle of an empty panel."""
    without_ticks(axis)
    axis.text(0.5, 0.5, words, ha="center", va="center", transform=axis.transAxes)


def legend(figure: Figure, *looks: Mapping[str, Look]) -> None:
    """Write below a figure which category has which look, in as many columns as the width has room for."""
    entries = [entry for of_kind in looks for entry in of_kind.items()]
    handles = [
        Line2D([], [], linestyle="", marker=m, color=c, markersize=4, label=name)
        for name, (c, m) in entries
    ]
    longest = max((len(name) for name, _ in entries), default=1)
    ncols = max(1, min(len(entries), int(WIDTH * 14 / (longest + 5))))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, frameon=False)


def save(figure: Figure, path: str | Path, provenance: str) -> None:
    """Write a figure to a path that ends in .svg, and beside it as PDF, with its provenance in the metadata.

    Identical figures give identical bytes.
    """
    path = Path(path)
    with plt.rc_context(STYLE):
        _take_dollars_as_they_are(figure)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=300, metadata={"Description": provenance, "Date": None})
        with replacing(path.with_suffix(".pdf")) as temporary:
            figure.savefig(
                temporary, dpi=300, metadata={"Subject": provenance, "CreationDate": None}
            )


def _take_dollars_as_they_are(figure: Figure) -> None:
    """Have no text between dollars taken for a formula, as a name can hold them; numbers on logarithmic axes are formulas."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    for axis in (
        axis
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if axis.get_scale() != "linear"
    ):
        for number in axis.get_ticklabels(which="both"):
            number.set_parse_math(True)
