import importlib
import inspect
import json
import re
from pathlib import Path

import anndata as ad
import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from matplotlib.colors import to_hex

from sclatent.figures import catalogue
from sclatent.figures.confusion import confusion
from sclatent.figures.latent_parts import latent_parts
from sclatent.figures.latent_space import latent_space
from sclatent.figures.latent_space_3d import latent_space_3d
from sclatent.figures.louvain import louvain
from sclatent.figures.quality_control import quality_control
from sclatent.figures.score_heatmap import METRIC_TITLES, score_heatmap
from sclatent.figures.style import COLORS, GROUP_COLORS, MOST_CELLS, SMALL, looks_of, save, scatter
from sclatent.figures.training import training
from sclatent.io.by_seed import with_losses
from sclatent.metrics.agreement import AGREEMENT_METRICS as SCORED
from sclatent.pipeline.notebooks import fill

TEMPLATE = Path(__file__).parents[2] / "workflow" / "notebooks" / "figure.ipynb"
N = 30


@pytest.fixture
def obs():
    labels = {
        "cell_type": pd.Categorical(list("abc") * 10),
        "condition": pd.Categorical(["ctrl", "stim"] * 15),
    }
    return pd.DataFrame(labels, index=[f"c{i}" for i in range(N)])


@pytest.fixture
def maps(obs):
    """Maps of a model with two seeds, of which 3 is the better one, and of a model of which every
    seed failed.
    """
    good = {"tsne_2d_seed_3": points(2), "tsne_3d_seed_3": points(3), "tsne_2d_seed_5": points(2)}
    return {"good": ad.AnnData(obs=obs, obsm=good), "bad": ad.AnnData(obs=obs)}


@pytest.fixture
def latents(obs):
    """Latents of the same models: a mixture with z of three dimensions and w of two."""
    arrays = {
        "mean_seed_3": points(3),
        "sample_seed_3": points(3),
        "w_mean_seed_3": points(2),
        "w_sample_seed_3": points(2) + 1,
    }
    good = ad.AnnData(obs=obs, obsm={**arrays, "mean_seed_5": points(3)})
    return {
        "good": with_losses(good, {3: 1.0, 5: 2.0}, "all"),
        "bad": with_losses(ad.AnnData(obs=obs), {}, "all"),
    }


TITLES = {"good": "Good", "bad": "Bad"}


def points(dimensions):
    return np.random.default_rng(dimensions).normal(size=(N, dimensions)).astype(np.float32)


def clusters_of(found, method, seed=3):
    return pd.DataFrame({"seed": seed, "latent": "mean", "method": method, "cluster": found})


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
            np.nan if bad else 0.25,
            0.125,
            0 if bad else 2,
            float(bad),
        )
        for model, bad in models.items()
        for metric in METRIC_TITLES
    ]
    keys = ["dataset", "model", "split", "latent", "method", "metric", "subset"]
    return pd.DataFrame(rows, columns=[*keys, "mean", "sd", "n", "failed_share"])


def texts(axis):
    return [text.get_text() for text in axis.texts]


def drawn_cells(axis):
    return sum(len(collection.get_offsets()) for collection in axis.collections)


def test_a_cell_type_has_one_look_and_ten_of_them_have_ten_colours():
    names = [f"type {i:02d}" for i in range(23)]
    looks = looks_of(reversed(names))
    assert looks == looks_of(names)
    assert len(set(looks.values())) == 23
    assert {look.color for look in list(looks.values())[:10]} == set(COLORS)
    assert not {look.color for look in looks.values()} & set(GROUP_COLORS)


def test_cells_have_the_colours_and_shapes_of_their_labels():
    axis = matplotlib.figure.Figure().add_subplot()
    names = [f"type {i:02d}" for i in range(12)]
    looks = looks_of(names)
    labels = np.array(names * 3)
    scatter(axis, np.arange(72.0).reshape(36, 2), labels, looks)
    shown = {}
    for collection in axis.collections:
        for (x, _), color in zip(
            collection.get_offsets(), collection.get_facecolors(), strict=True
        ):
            shown[labels[int(x) // 2]] = to_hex(color).upper()
    assert shown == {name: look.color for name, look in looks.items()}
    assert len(axis.collections) == 2


def test_a_large_map_is_thinned_evenly():
    axis = matplotlib.figure.Figure().add_subplot()
    n = 2 * MOST_CELLS + 1
    scatter(axis, np.column_stack([np.arange(n), np.arange(n)]), ["a"] * n, looks_of("a"))
    (cells,) = axis.collections
    assert cells.get_offsets()[:, 0].tolist() == list(range(0, n, 3))


def test_quality_control_shows_thresholds_and_what_each_step_left():
    removed = pd.Series([None] * (N - 2) + ["fewer than 2 genes"] * 2)
    cells = pd.DataFrame(
        {
            "n_genes": range(N),
            "total_counts": 1.0 * np.arange(N),
            "pct_counts_mt": np.nan,
            "removed": removed,
        }
    )
    steps = pd.DataFrame(
        {"step": ["nothing", "fewer than 2 genes"], "n_cells": [1030, 1028], "n_genes": [9, 9]}
    )
    thresholds = {"min_genes": 2, "max_genes": None, "max_percent_mito": None, "min_cells": None}
    drawing = quality_control("Mine", steps, cells, thresholds)
    assert len(drawing.axes) == 3  # no mitochondrial genes, no panel for them
    assert [line.get_xdata()[0] for line in drawing.axes[0].lines] == [2]
    heights = [sum(bar.get_height() for bar in bars) for bars in drawing.axes[0].containers]
    assert heights == [N - 2, 2]
    (table,) = drawing.axes[-1].tables
    assert table[2, 1].get_text().get_text() == "1,028"


def test_training_shows_the_loss_of_every_seed_its_parts_and_the_seconds():
    def history(seed):
        entries = [
            (epoch, split, part, 10.0 * seed + epoch)
            for epoch in (1, 2)
            for split in ("train", "validation")
            for part in ("loss", "kl")
        ]
        return pd.DataFrame(entries, columns=["epoch", "split", "part", "value"])

    once = history(1)[lambda entries: entries["epoch"] == 1]
    seconds = {
        "rule": "train",
        "model": ["good", "good", "once"],
        "seed": [1, 2, 1],
        "seconds": [5.0, 7.0, 1.0],
    }
    histories = {"good": {1: history(1), 2: history(2)}, "once": {1: once}}
    figure = training({"good": "Good", "once": "Once"}, histories, pd.DataFrame(seconds))
    loss, parts, bars, fitted = figure.axes[:4]
    assert [line.get_ydata().tolist() for line in loss.lines] == [
        [11, 12],
        [11, 12],
        [21, 22],
        [21, 22],
    ]
    assert [line.get_ydata().tolist() for line in parts.lines] == [[16, 17]]
    assert [bar.get_height() for bar in bars.patches] == [5, 7]
    assert texts(fitted) == ["one epoch"]


def test_latent_space_shows_every_cell_centroid_and_condition(obs, maps):
    umaps = ad.AnnData(obs=obs, obsm={"umap_good_seed_3": points(2)})
    found = clusters_of([0, 1, 2, 3, 4] * 6, "kmeans_tsne")
    found = pd.concat([clusters_of([0] * 30, "kmeans_tsne").assign(latent="sample"), found])
    figure = latent_space(TITLES, maps, umaps, {"good": found, "bad": found.iloc[:0]})
    assert [drawn_cells(axis) for axis in figure.axes] == [N, N + 5, N, N, N, 0, 0, 0, 0, 0]
    assert figure.axes[0].get_ylabel() == "Good, seed 3"
    assert texts(figure.axes[5]) == ["every seed failed"]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["a", "b", "c", "ctrl", "stim"]
    umaps.obs = umaps.obs.drop(columns="condition")
    assert len(latent_space(TITLES, maps, umaps, {"good": found, "bad": found.iloc[:0]}).axes) == 8


def test_latents_of_two_dimensions_are_drawn_as_they_are_and_others_as_umap(obs, latents):
    umaps = ad.AnnData(
        obs=obs, obsm={"umap_good_seed_3": points(2) + 5, "umap_good_seed_3_sample": points(2) + 7}
    )
    figure = latent_parts(TITLES, latents, umaps)
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "z, mean (UMAP)",
        "z, sample (UMAP)",
        "w, mean",
        "w, sample",
    ]
    for axes in (figure.axes[:4], figure.axes[4:8]):  # by cell type, by condition
        for axis, shift in zip(axes, (5, 7, 0, 1), strict=True):
            np.testing.assert_allclose(
                axis.collections[0].get_offsets(), points(2) + shift, rtol=1e-6
            )
    assert texts(figure.axes[8]) == ["every seed failed"]


def test_a_latent_without_dimensions_has_no_panel_and_one_of_one_dimension_has_its_umap(
    obs, latents
):
    good = latents["good"]
    good.obsm["w_mean_seed_3"] = good.obsm["w_sample_seed_3"] = np.empty((N, 0), dtype=np.float32)
    good.obsm["sample_seed_3"] = points(1)
    umaps = ad.AnnData(
        obs=obs, obsm={"umap_good_seed_3": points(2) + 5, "umap_good_seed_3_sample": points(2) + 7}
    )
    figure = latent_parts({"good": "Good"}, latents, umaps)
    assert [drawn_cells(axis) for axis in figure.axes[:4]] == [N, N, 0, 0]
    assert figure.axes[1].get_title() == "z, sample (UMAP)"


def test_the_page_in_three_dimensions_shows_one_map_at_a_time(tmp_path, maps):
    shown = {"d/good": maps["good"], "d/bad": maps["bad"], "d/best": maps["good"]}
    page = latent_space_3d({"d": "Data"}, TITLES | {"best": "Best"}, shown)
    assert sum(len(trace.x) for trace in page.data if trace.visible) == N
    (menu,) = page.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["Data: Good, seed 3", "Data: Best, seed 3"]
    assert [sum(button.args[0]["visible"]) for button in menu.buttons] == [3, 3]
    for name in ("a.html", "b.html"):
        save(page, tmp_path / name, "origin")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "<!-- origin -->" in (tmp_path / "a.html").read_text()


def test_louvain_clusters_have_the_look_of_their_most_frequent_label_and_say_how_well_they_agree(
    obs, latents
):
    own, of_floor = [0, 1, 2] * 10, [0, 0, 1] * 10
    found = {
        "good": clusters_of(own, "louvain_latent"),
        "floor": clusters_of(of_floor, "louvain_latent"),
    }
    found["bad"] = found["good"].iloc[:0]
    keys = {
        "seed": 3,
        "method": "louvain_latent",
        "latent": "mean",
        "split": "all",
        "subset": "all",
    }
    metrics = {"n_clusters": 3.0, "nmi_geometric": 1.0, "ari": 0.5}
    scores = pd.DataFrame(
        [
            {"model": "good", "metric": name, "value": value, **keys}
            for name, value in metrics.items()
        ]
    )
    umaps = ad.AnnData(obs=obs, obsm={"umap_good_seed_3": points(2)})
    figure = louvain(
        {**TITLES, "floor": "PCA of 3"},
        {"good": "floor", "bad": "floor"},
        latents,
        umaps,
        found,
        scores,
    )
    truth, floor, latent = figure.axes[:3]
    assert latent.get_title() == "Louvain on the latent\n3 clusters, NMI 1.000, ARI 0.500"
    assert floor.get_title() == "Louvain on PCA of 3\n"
    assert (texts(floor), texts(latent)) == (["0", "1"], ["0", "1", "2"])
    np.testing.assert_array_equal(
        latent.collections[0].get_facecolors(), truth.collections[0].get_facecolors()
    )
    assert texts(figure.axes[3]) == ["every seed failed"]


def test_confusion_shows_the_share_of_each_type_in_each_cluster(latents):
    found = [1, 0, 0] * 5 + [
        1,
        0,
        2,
    ] * 5  # all a in 1, all b in 0, of c a half in 0 and a half in 2
    by_both = pd.concat([clusters_of(found, "components"), clusters_of([0] * N, "kmeans_latent")])
    figure = confusion(TITLES, latents, {"good": by_both, "bad": by_both.iloc[:0]})
    axis = figure.axes[0]
    assert axis.get_title() == "Good, seed 3: components"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a (10)", "b (10)", "c (10)"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "0", "2"]
    np.testing.assert_allclose(axis.images[0].get_array(), [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]])
    assert sorted(texts(axis)) == [".50", ".50", "1.00", "1.00"]
    assert texts(figure.axes[1]) == ["every seed failed"]


def test_the_catalogue_and_the_modules_have_the_same_figures():
    folder = Path(catalogue.__file__).parent
    drawn = {path.stem for path in folder.glob("*.py") if "\ndef draw(" in path.read_text()}
    assert drawn == set(catalogue.CATALOGUE)
    assert all(all(text) for text in catalogue.CATALOGUE.values())


def test_the_notebook_of_a_figure_calls_its_module_with_the_arguments_of_draw(tmp_path):
    for name, text in catalogue.CATALOGUE.items():
        draw = importlib.import_module(f"sclatent.figures.{name}").draw
        arguments = inspect.signature(draw).parameters
        path = tmp_path / f"{name}.ipynb"
        fill(TEMPLATE, path, name, text.title, text.question, arguments)
        cells = json.loads(path.read_text())["cells"]
        title, parameters, call = ("".join(cell["source"]) for cell in cells)
        assert title == f"# {text.title}\n\n{text.question}"
        assert all(f"\n{argument} = None" in parameters for argument in arguments)
        assert f"from sclatent.figures.{name} import draw\n" in call
        shown = ", ".join(f"{argument}={argument}" for argument in arguments)
        assert f"drawing = draw({shown})\n" in call


def test_every_metric_has_a_column():
    assert list(METRIC_TITLES) == list(SCORED)


def test_score_heatmap_shows_every_score_what_failed_and_which_are_floors():
    table = summary({"good": False, "bad": True})
    others = [
        table.assign(split="held_out", mean=0.75),
        table.assign(subset="B", mean=0.75),
        table.assign(latent="w_mean"),
    ]
    figure = score_heatmap(pd.concat([table, *others]), "Data", TITLES, ["bad"])
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == list(METRIC_TITLES.values())
    assert METRIC_TITLES["balanced_accuracy"] == "balanced acc."
    assert texts(axis) == ["0.250 ±0.125"] * len(METRIC_TITLES) + ["failed"] * len(METRIC_TITLES)
    assert {text.get_color() for text in axis.texts[len(METRIC_TITLES) :]} == {"black"}
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "Good",
        "Bad (floor)\n100% failed",
    ]
    assert axis.get_title() == "Data: k-means on the latent"
    assert texts(score_heatmap(table.iloc[:0], "Data", TITLES, []).axes[0]) == [
        "every model failed"
    ]


def test_a_figure_is_written_alike_twice_for_screen_and_print(tmp_path):
    for name in ("a.svg", "b.svg"):
        save(
            score_heatmap(summary({"good": False}), "Data", {"good": "Good"}, []),
            tmp_path / name,
            "origin",
        )
    for kind, provenance in (
        ("svg", b"<dc:description>origin</dc:description>"),
        ("pdf", b"/Subject (origin)"),
    ):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
        assert provenance in (tmp_path / f"a.{kind}").read_bytes()


def test_no_text_is_too_small_for_print(obs, maps, latents):
    umaps = ad.AnnData(
        obs=obs, obsm={f"umap_good_seed_3{part}": points(2) for part in ("", "_sample")}
    )
    found = clusters_of([0, 1, 2] * 10, "kmeans_tsne")
    drawings = [
        latent_space(TITLES, maps, umaps, {"good": found, "bad": found.iloc[:0]}),
        latent_parts(TITLES, latents, umaps),
        score_heatmap(summary({"good": False}), "Data", TITLES, []),
    ]
    for drawing in drawings:
        shown = [
            text
            for text in drawing.findobj(matplotlib.text.Text)
            if re.search(r"\w", text.get_text())
        ]
        assert min(text.get_fontsize() for text in shown) >= SMALL
        assert drawing.get_figwidth() == pytest.approx(7.1)
