"""What quality control removed, and why."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sclatent.figures.style import STYLE, WIDTH

MEASURES = {
    "n_genes": ("detected genes", ("min_genes", "max_genes")),
    "total_counts": ("counts", ()),
    "pct_counts_mt": ("mitochondrial (%)", ("max_percent_mito",)),
}
FATES = {"kept": "#0072B2", "removed": "#D55E00"}


def quality_control(
    title: str, steps: pd.DataFrame, cells: pd.DataFrame, thresholds: dict[str, float | None]
) -> Figure:
    """Draw the measures of all cells, those removed apart, with the thresholds, and what each step left.

    steps, cells: tables of the kinds "qc" and "qc_cells". thresholds: by name, None where there is none.
    """
    removed = cells["removed"].notna()
    shown = [measure for measure in MEASURES if cells[measure].notna().any()]
    with plt.rc_context(STYLE):
        ratios = [2] * len(shown) + [3.4]
        figure, axes = plt.subplots(
            1, len(ratios), figsize=(WIDTH, 2.1), layout="constrained", width_ratios=ratios
        )
        for axis, measure in zip(axes, shown, strict=False):
            name, limits = MEASURES[measure]
            bins = np.histogram_bin_edges(cells[measure].dropna(), bins=50)
            for (fate, color), here in zip(FATES.items(), (~removed, removed), strict=True):
                axis.hist(cells.loc[here, measure], bins, color=color, label=fate, alpha=0.75)
            axis.set_xlim(axis.get_xlim())  # thresholds far from all cells would squeeze them
            for limit in limits:
                if thresholds[limit] is not None:
                    axis.axvline(thresholds[limit], color="black", linestyle="--", linewidth=0.8)
            axis.set(
                xlabel=f"{name} of a cell",
                yscale="log",
                ylabel="cells" if measure == shown[0] else "",
            )
        axes[0].legend(frameon=False)
        rows = [[row.step, f"{row.n_cells:,}", f"{row.n_genes:,}"] for row in steps.itertuples()]
        axes[-1].axis("off")
        table = axes[-1].table(
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
        figure.suptitle(title)
    return figure
