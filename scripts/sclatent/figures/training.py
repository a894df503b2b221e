"""How training went: the loss and its parts by epoch, and what it took."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import COLORS, STYLE, WIDTH, name_row, say


def training(
    titles: dict[str, str], histories: dict[str, dict[int, pd.DataFrame]], resources: pd.DataFrame
) -> Figure:
    """Draw one row a model: the loss by epoch of every seed, its other parts, and the seconds of each training.

    titles: name to show by model. histories: tables of the kind "history" by model and seed, empty for failed seeds. resources:
    table of the kind "resources", of one data set. Of models that are fitted at once there is no course to draw.
    """
    seconds = resources[resources["rule"] == "train"]
    longest = seconds.loc[seconds["model"].isin(list(titles)), "seconds"].max()
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(titles),
            3,
            figsize=(WIDTH, 1.5 * len(titles) + 0.3),
            layout="constrained",
            squeeze=False,
            width_ratios=[3, 3, 2],
        )
        for axes, (model, title) in zip(grid, titles.items(), strict=True):
            history = pd.concat(
                [table.assign(seed=seed) for seed, table in histories[model].items()]
            )
            _courses(axes[0], history[history["part"] == "loss"], title)
            _parts(axes[1], history[history["part"] != "loss"])
            of_model = seconds[seconds["model"] == model].sort_values("seed")
            axes[2].bar(of_model["seed"].astype(str), of_model["seconds"], color=COLORS[0])
            axes[2].set(ylabel="seconds", ylim=(0, 1.05 * longest))
        for axis, name in zip(grid[-1], ("epoch", "epoch", "seed"), strict=True):
            axis.set_xlabel(name)
    return figure


def _courses(axis: Axes, losses: pd.DataFrame, title: str) -> None:
    """Draw the loss of every seed, that of validation cells dashed."""
    name_row(axis, title, below="loss")
    if losses["epoch"].nunique() < 2:
        say(axis, "one epoch" if len(losses) else "every seed failed")
        return
    colors = {
        seed: COLORS[i % len(COLORS)] for i, seed in enumerate(sorted(losses["seed"].unique()))
    }
    for (seed, split), course in losses.groupby(["seed", "split"]):
        style = "--" if split == "validation" else "-"
        label = f"seed {seed}" if split == "train" else None
        axis.plot(
            course["epoch"], course["value"], style, color=colors[seed], linewidth=0.8, label=label
        )
    axis.set_yscale("log" if (losses["value"] > 0).all() else "linear")
    axis.legend(frameon=False)


def _parts(axis: Axes, parts: pd.DataFrame) -> None:
    """Draw the other parts of the loss of training cells, mean over seeds, with the range that the seeds span."""
    names = sorted(parts["part"].unique())
    if parts["epoch"].nunique() < 2:
        axis.axis("off")
        return
    for name, color in zip(names, COLORS * (len(names) // len(COLORS) + 1), strict=False):
        of_part = parts[(parts["part"] == name) & (parts["split"] == "train")].groupby("epoch")[
            "value"
        ]
        mean, low, high = of_part.mean(), of_part.min(), of_part.max()
        axis.plot(mean.index, mean, color=color, linewidth=0.8, label=name)
        axis.fill_between(mean.index, low, high, color=color, alpha=0.2, linewidth=0)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylabel("parts")
    axis.legend(framealpha=0.7, edgecolor="none", ncols=2 if len(names) > 4 else 1)
