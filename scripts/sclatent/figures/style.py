"""What all figures share: sizes for print, colours, maps of cells, and how a figure is saved."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from sclatent.io.atomic import replacing

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.typing import RcKeyType

WIDTH = 7.1  # inches, two columns of a journal
SMALL = 6  # points; for text that is not read first
TINY = SMALL - 1  # points; within dense panels
STYLE: "dict[RcKeyType, Any]" = {
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
# Ten colours that colour-blind readers can tell apart: Okabe and Ito 2008 without black, and Tol's
# indigo, wine and olive.
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
# Colours of conditions and batches. They differ from COLORS, so that none looks like a cell type.
GROUP_COLORS = ["#444444", "#EE7733", "#33BBEE", "#CC3311", "#009988", "#EE3377"]
MARKERS = ["o", "^", "s", "D", "v"]  # a new one per ten categories
UNMATCHED = "#DDDDDD"
MOST_CELLS = 10_000  # drawn in a map; more would hide each other
EVERY_SEED_FAILED = "every seed failed"  # what stands in the panel of such a model


class Look(NamedTuple):
    """How a category of cells is drawn."""

    color: str
    marker: str


def looks_of(categories: Iterable[str]) -> dict[str, Look]:
    """Choose a look per category; equal categories have equal looks in every figure."""
    return {
        name: Look(COLORS[i % len(COLORS)], MARKERS[i // len(COLORS) % len(MARKERS)])
        for i, name in enumerate(sorted(categories))
    }


def looks_of_groups(groups: Iterable[str]) -> dict[str, Look]:
    """Choose a look per condition."""
    return {name: Look(GROUP_COLORS[i % len(GROUP_COLORS)], "o") for i, name in enumerate(groups)}


def scatter(
    axis: Axes,
    points: np.ndarray,
    labels: Iterable[str] | np.ndarray | pd.Series,
    looks: Mapping[Any, Look],
    title: str = "",
) -> None:
    """Draw a map of cells without ticks.

    Parameters
    ----------
    axis
        Where to draw.
    points
        Coordinates (n, 2) or (n, 3). At most MOST_CELLS are drawn, evenly spread.
    labels
        The label of each cell (n,).
    looks
        By label.
    title
        Is written above the map.
    """
    step = -(-len(points) // MOST_CELLS)
    points, shown = points[::step], pd.Series(np.asarray(labels)[::step])
    size = 6 if len(points) < 1000 else 2.5
    markers = shown.map({name: look.marker for name, look in looks.items()}).to_numpy()
    colors = shown.map({name: look.color for name, look in looks.items()}).to_numpy()
    for marker in dict.fromkeys(look.marker for look in looks.values()):
        here = markers == marker
        axis.scatter(
            *points[here].T, c=colors[here], marker=marker, s=size, linewidths=0, rasterized=True
        )
    without_ticks(axis)
    axis.set_title(title)


def without_ticks(axis: Axes) -> None:
    """Remove the ticks of a map, whose units mean nothing."""
    axis.set(xticks=[], yticks=[], **({"zticks": []} if axis.name == "3d" else {}))


def name_row(axis: Axes, title: str, seed: int | None = None, below: str = "") -> None:
    """Write on the left of a row of panels which model and seed it shows.

    Parameters
    ----------
    axis
        The first panel of the row.
    title
        Title of the model.
    seed
        The seed, if there is one.
    below
        Is written below.
    """
    name = textwrap.fill(title if seed is None else f"{title}, seed {seed}", 28)
    axis.set_ylabel("\n".join(filter(None, [name, below])))


def say(axis: Axes, words: str) -> None:
    """Write words in the middle of an empty panel."""
    without_ticks(axis)
    axis.text(0.5, 0.5, words, ha="center", va="center", transform=axis.transAxes)


def legend(figure: Figure, *looks: Mapping[str, Look]) -> None:
    """Write below a figure which category has which look, in as many columns as fit."""
    entries = [entry for of_kind in looks for entry in of_kind.items()]
    handles = [
        Line2D([], [], linestyle="", marker=m, color=c, markersize=4, label=name)
        for name, (c, m) in entries
    ]
    longest = max((len(name) for name, _ in entries), default=1)
    ncols = max(1, min(len(entries), int(WIDTH * 14 / (longest + 5))))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, frameon=False)


def save(figure: "Figure | go.Figure", path: str | Path, provenance: str) -> None:
    """Save a figure of matplotlib as SVG and PDF, and one of plotly as a page.

    Equal figures give equal bytes.

    Parameters
    ----------
    figure
        The figure.
    path
        Ends in .svg, beside which the PDF is written, or in .html for a page.
    provenance
        JSON text, for the metadata of the files or a comment in the page.
    """
    if isinstance(figure, Figure):
        _save_picture(figure, Path(path), provenance)
    else:
        _save_page(figure, Path(path), provenance)


def _save_picture(figure: Figure, path: Path, provenance: str) -> None:
    with plt.rc_context(STYLE):
        _show_dollars(figure)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=300, metadata={"Description": provenance, "Date": None})
        with replacing(path.with_suffix(".pdf")) as temporary:
            figure.savefig(
                temporary, dpi=300, metadata={"Subject": provenance, "CreationDate": None}
            )


def _save_page(figure: "go.Figure", path: Path, provenance: str) -> None:
    """Write a page that needs no network."""
    page = figure.to_html(
        include_plotlyjs=True,
        div_id="maps",
        default_height="95vh",
        config={"displayModeBar": False, "responsive": True},
    )
    with replacing(path) as temporary:
        temporary.write_text(f"{page}\n<!-- {provenance} -->\n")


def _show_dollars(figure: Figure) -> None:
    """Take no text between dollars for a formula, because names can hold dollars.

    The numbers on logarithmic axes are formulas and stay so.
    """
    for text in cast(list[Text], figure.findobj(Text)):
        text.set_parse_math(False)
    for axis in _scaled_axes(figure):
        for number in axis.get_ticklabels(which="both"):
            number.set_parse_math(True)


def _scaled_axes(figure: Figure) -> list[Axis]:
    """Return the axes of all panels that are not linear."""
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    return [axis for axis in axes if axis.get_scale() != "linear"]
