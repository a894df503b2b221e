"""How training went: the loss and its parts by epoch, and the time that it took."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import COLORS, EVERY_SEED_FAILED, STYLE, WIDTH, name_row, say
from sclatent.io.tables import read_table


def draw(dataset: str, models: dict[str, str], resources: str, histories: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    dataset
        The data set whose trainings are drawn.
    models
        Titles by model.
    resources
        Table of this kind.
    histories
        Tables of the kind "history" by "<model>/<seed>".
    """
    by_model: dict[str, dict[int, pd.DataFrame]] = {model: {} for model in models}
    for key, path in histories.items():
        model, seed = key.split("/")
        by_model[model][int(seed)] = read_table(path, "history")
    costs = read_table(resources, "resources")
    return training(models, by_model, costs.loc[costs["dataset"] == dataset])


def training(
    titles: dict[str, str], histories: dict[str, dict[int, pd.DataFrame]], resources: pd.DataFrame
) -> Figure:
    """Draw a row per model: loss of every seed by epoch, its other parts, seconds per training.

    Parameters
    ----------
    titles
        By model.
    histories
        Tables of the kind "history" by model and seed; empty for failed seeds. Models that are
        fitted in one step have no curve.
    resources
        Table of this kind, of one data set.
    """
    trainings = resources.loc[resources["rule"] == "train"]
    longest = trainings.loc[trainings["model"].isin(list(titles)), "seconds"].max()
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
            _losses(axes[0], history.loc[history["part"] == "loss"], title)
            _parts(axes[1], history.loc[history["part"] != "loss"])
            of_model = trainings.loc[trainings["model"] == model].sort_values("seed")
            axes[2].bar(of_model["seed"].astype(str), of_model["seconds"], color=COLORS[0])
            axes[2].set(ylabel="seconds", ylim=(0, 1.05 * longest))
        for axis, name in zip(grid[-1], ("epoch", "epoch", "seed"), strict=True):
            axis.set_xlabel(name)
    return figure


def _losses(axis: Axes, losses: pd.DataFrame, title: str) -> None:
    """Draw the loss of every seed; that of validation cells is dashed."""
    name_row(axis, title, below="loss")
    if losses["epoch"].nunique() < 2:
        say(axis, "one epoch" if len(losses) else EVERY_SEED_FAILED)
        return
    seeds = sorted(losses["seed"].unique())
    for i, seed in enumerate(seeds):
        for split, curve in losses.loc[losses["seed"] == seed].groupby("split"):
            axis.plot(
                curve["epoch"],
                curve["value"],
                "--" if split == "validation" else "-",
                color=COLORS[i % len(COLORS)],
                linewidth=0.8,
                label=f"seed {seed}" if split == "train" else None,
            )
    axis.set_yscale("log" if (losses["value"] > 0).to_numpy().all() else "linear")
    axis.legend(frameon=False)


def _parts(axis: Axes, parts: pd.DataFrame) -> None:
    """Draw the other parts of the loss of training cells: mean over seeds, and their range."""
    names = sorted(parts["part"].unique())
    if parts["epoch"].nunique() < 2:
        axis.axis("off")
        return
    in_training = parts.loc[parts["split"] == "train"]
    for i, name in enumerate(names):
        color = COLORS[i % len(COLORS)]
        by_epoch = in_training.loc[in_training["part"] == name].groupby("epoch")["value"]
        mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
        axis.plot(mean.index, mean, color=color, linewidth=0.8, label=name)
        axis.fill_between(mean.index, low, high, color=color, alpha=0.2, linewidth=0)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylabel("parts")
    axis.legend(framealpha=0.7, edgecolor="none", ncols=2 if len(names) > 4 else 1)
