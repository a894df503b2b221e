"""What quality control removed, and why."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import STYLE, WIDTH
from sclatent.io.tables import read_table

# The measures of a cell: column, title, and the thresholds that apply to it.
MEASURES = {
    "n_genes": ("detected genes", ("min_genes", "max_genes")),
    "total_counts": ("counts", ()),
    "pct_counts_mt": ("mitochondrial (%)", ("max_percent_mito",)),
}
KEPT, REMOVED = "#0072B2", "#D55E00"


def draw(title: str, steps: str, cells: str, thresholds: dict[str, float | None]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    title
        Title of the data set.
    steps, cells
        Tables of the kinds "qc" and "qc_cells".
    thresholds
        By name; None if there is none.
    """
    return quality_control(
        title, read_table(steps, "qc"), read_table(cells, "qc_cells"), thresholds
    )


def quality_control(
    title: str, steps: pd.DataFrame, cells: pd.DataFrame, thresholds: dict[str, float | None]
) -> Figure:
    """Draw histograms of all cells, kept and removed, with thresholds, and a table of the steps.

    Parameters
    ----------
    title
        Title of the data set.
    steps, cells
        Tables of the kinds "qc" and "qc_cells".
    thresholds
        By name; None if there is none.
    """
    shown = [measure for measure in MEASURES if not cells[measure].isna().to_numpy().all()]
    with plt.rc_context(STYLE):
        ratios = [2.0] * len(shown) + [3.4]
        figure, axes = plt.subplots(
            1, len(ratios), figsize=(WIDTH, 2.1), layout="constrained", width_ratios=ratios
        )
        for axis, measure in zip(axes, shown, strict=False):
            name, limits = MEASURES[measure]
            _histograms(axis, cells, measure)
            axis.set_xlim(axis.get_xlim())  # a threshold far from all cells would squeeze them
            for limit in limits:
                if thresholds[limit] is not None:
                    axis.axvline(thresholds[limit], color="black", linestyle="--", linewidth=0.8)
            axis.set(
                xlabel=f"{name} of a cell",
                yscale="log",
                ylabel="cells" if measure == shown[0] else "",
            )
        axes[0].legend(frameon=False)
        _table(axes[-1], steps)
        figure.suptitle(title)
    return figure


def _histograms(axis: Axes, cells: pd.DataFrame, measure: str) -> None:
    removed = cells["removed"].notna()
    bins = np.histogram_bin_edges(cells[measure].dropna(), bins=50).tolist()
    axis.hist(cells.loc[~removed, measure], bins, color=KEPT, label="kept", alpha=0.75)
    axis.hist(cells.loc[removed, measure], bins, color=REMOVED, label="removed", alpha=0.75)


def _table(axis: Axes, steps: pd.DataFrame) -> None:
    rows = [
        [row["step"], f"{row['n_cells']:,}", f"{row['n_genes']:,}"]
        for row in steps.to_dict("records")
    ]
    axis.axis("off")
    table = axis.table(
        rows,
        colLabels=["after removing", "cells", "genes"],
        colWidths=[0.6, 0.19, 0.21],
        loc="center",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(6)
    table.scale(1, 1.2)
    for (_, column), entry in table.get_celld().items():
        entry.set_text_props(ha="left" if column == 0 else "right")
