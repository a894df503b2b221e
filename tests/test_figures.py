import anndata as ad
import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from sclatent.figures import METRICS, latent_space, quality_control, save, score_heatmap
from sclatent.metrics import METRICS as SCORED

N = 30


@pytest.fixture
def obs():
    return pd.DataFrame({"cell_type": pd.Categorical(list("abc") * 10)}, index=[f"c{i}" for i in range(N)])


def points(dimensions):
    return np.random.default_rng(dimensions).normal(size=(N, dimensions)).astype(np.float32)


def summary(models):
    rows = [
        (
            "d",
            model,
            "all",
            "mean",
            "kmeans_latent",
            metric,
            "all",
            np.nan if failed else 0.25,
            0.125,
            0 if failed else 2,
            float(failed),
        )
        for model, failed in models.items()
        for metric in METRICS
    ]
    keys = ["dataset", "model", "split", "latent", "method", "metric", "subset"]
    return pd.DataFrame(rows, columns=[*keys, "mean", "sd", "n", "failed_share"])


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_quality_control_shows_thresholds_and_what_each_step_left():
    removed = pd.Series([None] * (N - 2) + ["fewer than 2 genes"] * 2)
    cells = pd.DataFrame({"n_genes": range(N), "total_counts": 1.0 * np.arange(N), "pct_counts_mt": np.nan, "removed": removed})
    steps = pd.DataFrame({"step": ["nothing", "fewer than 2 genes"], "n_cells": [1030, 1028], "n_genes": [9, 9]})
    thresholds = {"min_genes": 2, "max_genes": None, "max_percent_mito": None, "min_cells": None}
    drawing = quality_control("Mine", steps, cells, thresholds)
    assert len(drawing.axes) == 3  # no mitochondrial genes, no panel for them
    assert [line.get_xdata()[0] for line in drawing.axes[0].lines] == [2]
    heights = [sum(bar.get_height() for bar in bars) for bars in drawing.axes[0].containers]
    assert heights == [N - 2, 2]
    (table,) = drawing.axes[-1].tables
    assert table[2, 1].get_text().get_text() == "1,028"


def test_every_metric_has_a_column():
    assert list(METRICS) == list(SCORED)


def test_latent_space_shows_every_cell_and_centroid(obs):
    trained = ad.AnnData(obs=obs, obsm={"tsne_2d_seed_3": points(2), "tsne_3d_seed_3": points(3), "tsne_2d_seed_5": points(2)})
    umaps = ad.AnnData(obs=obs, obsm={"umap_good_seed_3": points(2)})
    clusters = pd.DataFrame({"seed": 3, "method": "kmeans_tsne", "cluster": [0, 1, 2, 3, 4] * 6})
    figure = latent_space(
        {"good": "Good", "bad": "Bad"},
        {"good": trained, "bad": ad.AnnData(obs=obs)},
        umaps,
        {"good": clusters, "bad": clusters.iloc[:0]},
    )
    drawn = [[len(collection.get_offsets()) for collection in axis.collections] for axis in figure.axes]
    assert drawn[:4] == [[N], [N, 5], [N], [N]]
    assert drawn[4:] == [[], [], [], []]
    assert figure.axes[0].get_ylabel() == "Good, seed 3"
    assert texts(figure.axes[4]) == ["every seed failed"]


def test_score_heatmap_shows_every_score_and_what_failed():
    table = summary({"good": False, "bad": True})
    others = [table.assign(split="held_out", mean=0.75), table.assign(subset="B", mean=0.75), table.assign(latent="w_mean")]
    figure = score_heatmap(pd.concat([table, *others]), {"d": "Data"}, {"good": "Good", "bad": "Bad"})
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == list(METRICS.values())
    assert METRICS["balanced_accuracy"] == "balanced acc."
    assert texts(axis) == ["0.250\n±0.125"] * len(METRICS) + ["failed"] * len(METRICS)
    assert {text.get_color() for text in axis.texts[len(METRICS) :]} == {"black"}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Good", "Bad\n100% failed"]
    assert texts(figure.axes[1]) == ["every model failed"]


def test_a_figure_is_written_alike_twice(tmp_path):
    for name in ("a.svg", "b.svg"):
        save(score_heatmap(summary({"good": False}), {"d": "Data"}, {"good": "Good"}), tmp_path / name, "origin")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<dc:description>origin</dc:description>" in (tmp_path / "a.svg").read_text()
