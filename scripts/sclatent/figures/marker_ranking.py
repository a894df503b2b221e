"""The genes that rise most in real treated cells beside those that rise most in predicted ones."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.panels import panels, read_responses
from sclatent.figures.style import COLORS, SMALL, STYLE, TINY, UNMATCHED

N_GENES = 10  # of a ranking


def draw(title: str, real: dict[str, str], predicted: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    title
        Title of the figure.
    real
        Tables of the kind "responses" with real cells, by data set.
    predicted
        Tables of the same kind of a model, by data set.
    """
    return marker_ranking(read_responses(real, predicted), title)


def marker_ranking(responses: pd.DataFrame, title: str) -> Figure:
    """Draw the first genes by score over control cells, in real treated cells and as predicted.

    Genes that are also among the first of real cells are coloured. Their number is written above.

    Parameters
    ----------
    responses
        Table of the kind "responses" with treated cells.
    title
        Title of the figure.
    """
    with plt.rc_context(STYLE):
        figure, shown = panels(responses, "treated", title, height=1.2)
        figure.supxlabel("Wilcoxon z-score over control cells", fontsize=SMALL + 1)
        for axis, table, method in shown:
            scores = table.set_index(["method", "gene"])["score"]
            real = _first(scores.loc["treated"]).index
            overlap = _panel(axis, _first(scores.loc[method]), real)
            words = overlap if method != "treated" else ""
            axis.title.set_text(f"{axis.get_title()}\n{words}".lstrip("\n"))
            axis.set_xlim(0, 1.05 * max(scores.max(), 1))
    return figure


def _first(scores: pd.Series) -> pd.Series:
    """Return the largest scores by gene; genes of equal score are in the order of the data."""
    return scores.sort_values(ascending=False, kind="stable").head(N_GENES)


def _panel(axis: Axes, scores: pd.Series, real: pd.Index) -> str:
    """Draw the scores of genes; return how many of these genes are among those of real cells."""
    is_real = scores.index.isin(real)
    axis.barh(
        range(len(scores)), scores, height=0.85, color=np.where(is_real, COLORS[4], UNMATCHED)
    )
    for y, gene in enumerate(scores.index):
        axis.text(
            0.02,
            y,
            str(gene),
            transform=axis.get_yaxis_transform(),
            fontsize=TINY,
            va="center_baseline",
            color="black" if is_real[y] else "0.35",
        )
    axis.set_ylim(len(scores) - 0.4, -0.6)
    axis.set_yticks([])
    axis.tick_params(labelsize=TINY, length=2, pad=1)
    axis.locator_params(axis="x", nbins=3)
    return f"{is_real.sum()}/{len(scores)}"
