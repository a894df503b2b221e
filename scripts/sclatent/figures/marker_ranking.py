"""The genes that rise most in real treated cells beside those that rise most in predicted ones."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.predicted import TINY, panels
from sclatent.figures.style import COLORS, SMALL, STYLE, UNMATCHED

N = 10  # genes


def marker_ranking(responses: pd.DataFrame, title: str) -> Figure:
    """Draw panels of a cell type: the first genes by score over control cells, of real treated cells, then of each predictor.

    responses: table of the kind "responses" with treated cells. Genes that are among the first of real cells, too, are coloured,
    and their number stands above.
    """
    with plt.rc_context(STYLE):
        figure, shown = panels(responses, "treated", title, height=1.2)
        figure.supxlabel("Wilcoxon z-score over control cells", fontsize=SMALL + 1)
        for axis, of_type, method in shown:
            scores = of_type.set_index(["method", "gene"])["score"]
            overlap = _panel(axis, _first(scores[method]), set(_first(scores["treated"]).index))
            axis.title.set_text(
                f"{axis.get_title()}\n{overlap if method != 'treated' else ''}".lstrip("\n")
            )
            axis.set_xlim(0, 1.05 * max(scores.max(), 1))
    return figure


def _first(scores: pd.Series) -> pd.Series:
    """Return the N largest scores by gene, those of equal score in the order of the data."""
    return scores.sort_values(ascending=False, kind="stable").head(N)


def _panel(axis: Axes, first: pd.Series, real: set[str]) -> str:
    """Draw the first genes with their scores; return how many of them are among those of real cells."""
    found = first.index.isin(list(real))
    axis.barh(range(len(first)), first, height=0.85, color=np.where(found, COLORS[4], UNMATCHED))
    for y, gene in enumerate(first.index):
        color = "black" if found[y] else "0.35"
        axis.text(
            0.02,
            y,
            gene,
            transform=axis.get_yaxis_transform(),
            fontsize=TINY,
            va="center_baseline",
            color=color,
        )
    axis.set_ylim(len(first) - 0.4, -0.6)
    axis.set_yticks([])
    axis.tick_params(labelsize=TINY, length=2, pad=1)
    axis.locator_params(axis="x", nbins=3)
    return f"{found.sum()}/{len(first)}"
