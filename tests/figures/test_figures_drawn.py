"""Maps of drawn cells among real ones, and the figures of drawn cells and images."""

import json

import anndata as ad
import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sclatent.figures.drawn_cells import ORIGINS, drawn_cells
from sclatent.figures.drawn_images import IMAGES_PER_ROW, drawn_images
from sclatent.figures.style import COLORS, GROUP_COLORS, UNMATCHED
from sclatent.generation import maps as module
from sclatent.generation.drawn import Drawn, as_matrix, no_cells
from sclatent.generation.maps import drawn_map
from sclatent.io.contracts import TABLES
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.metrics.principal_components import principal_space

matplotlib.use("Agg")

SIDE = 4
G = SIDE**2
GENES = pd.Index([f"pixel_{i}" for i in range(G)])
PALE = matplotlib.colors.to_rgba(UNMATCHED)


def real_cells(n=40, conditions=True) -> ad.AnnData:
    rng = np.random.default_rng(0)
    obs = {"cell_type": np.resize(["a", "b"], n), "condition": np.repeat(["ctrl", "stim"], n // 2)}
    obs = pd.DataFrame(obs, index=[f"c{i}" for i in range(n)]).apply(pd.Categorical)
    x = rng.random((n, G)).astype(np.float32) + 10 * (obs["cell_type"] == "b").to_numpy()[:, None]
    return ad.AnnData(
        sparse.csr_matrix(x), obs if conditions else obs[["cell_type"]], pd.DataFrame(index=GENES)
    )


def drawn_as(cell_type, condition, component, seed=0) -> ad.AnnData:
    """As many cells as there are labels; each expects its number, and has noise around it."""
    expected = np.repeat(np.arange(len(cell_type)), G).reshape(-1, G).astype(np.float32)
    values = expected + np.random.default_rng(seed).normal(size=expected.shape)
    return as_matrix(
        Drawn(values, expected, *map(np.array, (cell_type, condition, component))), GENES, seed
    )


@pytest.fixture
def maps():
    """Maps of a mixture with conditions, of a model without them, and of one that draws nothing."""
    drawn = {
        "mixture": drawn_as(
            ["a", "a", "b", "no type"] * 5, ["ctrl", "stim"] * 10, ["0", "1", "2", "3"] * 5, seed=3
        ),
        "vae": drawn_as(["all"] * 15, ["all"] * 15, ["all"] * 15, seed=4),
        "bad": no_cells(GENES, "every seed failed"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "umap", lambda x, n_neighbors, seed: x[:, :2].astype(np.float32))
        yield drawn_map(real_cells(), drawn, 15)


# ---- maps


def test_a_map_places_drawn_cells_in_the_components_of_the_real_ones(maps, tmp_path):
    write_matrix(maps, tmp_path / "map.h5ad", "drawn_map", {})
    maps = read_matrix(tmp_path / "map.h5ad")
    real = real_cells()
    space = principal_space(real.X.toarray())
    shown = maps[maps.obs["model"] == "vae"]
    vae = drawn_as(["all"] * 15, ["all"] * 15, ["all"] * 15, seed=4)
    wanted = np.concatenate([space.transform(real.X.toarray()), space.transform(vae.X)])[:, :2]
    np.testing.assert_allclose(shown.obsm["umap"], wanted, rtol=1e-4, atol=1e-4)
    assert shown.obs["origin"].tolist() == ["real"] * 40 + ["drawn"] * 15
    assert shown.obs["cell_type"].tolist() == real.obs["cell_type"].tolist() + ["all"] * 15
    assert shown.obs["condition"].tolist() == real.obs["condition"].tolist() + ["all"] * 15
    assert json.loads(maps.uns["seed"]) == {"mixture": 3, "vae": 4}
    assert json.loads(maps.uns["absent"]) == {"bad": "every seed failed"}
    assert set(maps.obs["model"]) == {"mixture", "vae"}


def test_a_map_has_few_enough_real_cells_the_same_for_every_model(monkeypatch):
    monkeypatch.setattr(module, "MOST_REAL", 25)
    monkeypatch.setattr(module, "umap", lambda x, n_neighbors, seed: x[:, :2].astype(np.float32))
    vae = drawn_as(["all"] * 15, ["all"] * 15, ["all"] * 15)
    maps = drawn_map(real_cells(conditions=False), {"one": vae, "two": vae}, 15)
    assert (maps.obs["origin"] == "real").sum() == 2 * 25
    one, two = (maps[maps.obs["model"] == model] for model in ("one", "two"))
    np.testing.assert_array_equal(one.obsm["umap"], two.obsm["umap"])
    assert set(maps.obs["condition"]) == {"all"}


def test_a_type_of_which_no_real_cell_is_on_the_map_changes_no_look(monkeypatch):
    monkeypatch.setattr(module, "MOST_REAL", 6)
    monkeypatch.setattr(module, "umap", lambda x, n_neighbors, seed: x[:, :2].astype(np.float32))
    real = real_cells()
    real.obs["cell_type"] = pd.Categorical(["a rare type", *["b"] * 39])
    maps = drawn_map(real, {"vae": drawn_as(["all"] * 15, ["all"] * 15, ["all"] * 15)}, 15)
    assert "a rare type" not in set(maps.obs["cell_type"])
    named = {
        text.get_text(): handle.get_color()
        for text, handle in legend_of(drawn_cells({"vae": "VAE"}, maps, scores_of([])))
    }
    assert (named["a rare type"], named["b"]) == tuple(COLORS[:2])


def legend_of(figure):
    (legend,) = figure.legends
    return zip(legend.get_texts(), legend.legend_handles, strict=True)


def test_a_map_is_written_where_no_model_draws_cells(tmp_path):
    maps = drawn_map(real_cells(), {"bad": no_cells(GENES, "every seed failed")}, 15)
    write_matrix(maps, tmp_path / "map.h5ad", "drawn_map", {})
    assert read_matrix(tmp_path / "map.h5ad").obsm["umap"].shape == (0, 2)


# ---- figures


def scores_of(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "seed", "metric", "value"]).reindex(
        columns=list(TABLES["generation"])
    )


def colors_of(axis) -> list[tuple]:
    """The colours of the points of a panel, in the order in which they are drawn."""
    return [tuple(color) for points in axis.collections for color in points.get_facecolors()]


def counts_of(axis) -> dict[str, int]:
    """How many points of a panel have each colour."""
    return (
        pd.Series([matplotlib.colors.to_hex(color).upper() for color in colors_of(axis)])
        .value_counts()
        .to_dict()
    )


def test_drawn_cells_have_the_colour_of_the_type_that_they_were_drawn_for(maps):
    figure = drawn_cells({"mixture": "Mixture", "vae": "VAE"}, maps, scores_of([]))
    real, drawn, both, condition = figure.axes[:4]
    black, grey = "#000000", ORIGINS["real"].color
    assert counts_of(real) == {COLORS[0]: 20, COLORS[1]: 20, UNMATCHED: 20}
    assert counts_of(drawn) == {COLORS[0]: 10, COLORS[1]: 5, black: 5, UNMATCHED: 40}
    assert counts_of(both) == {grey: 40, black: 20}
    assert counts_of(condition) == {GROUP_COLORS[0]: 10, GROUP_COLORS[1]: 10, UNMATCHED: 40}
    assert all(set(colors_of(axis)[:20]) == {PALE} for axis in (real, drawn, condition))
    assert len(set(colors_of(both)[:20])) == 2
    assert counts_of(figure.axes[5]) == {black: 15, UNMATCHED: 40}
    assert [text.get_text() for text in figure.axes[7].texts] == ["drawn for no condition"]


def test_drawn_cells_have_their_place_on_the_map(maps):
    figure = drawn_cells({"mixture": "Mixture"}, maps, scores_of([]))
    of_model = maps[maps.obs["model"] == "mixture"]
    wanted = of_model[
        (of_model.obs["origin"] == "drawn") & (of_model.obs["cell_type"] == "b")
    ].obsm["umap"]
    (points,) = figure.axes[1].collections
    shown = points.get_offsets()[
        (points.get_facecolors() == matplotlib.colors.to_rgba(COLORS[1])).all(axis=1)
    ]
    np.testing.assert_allclose(shown, wanted)


def test_there_is_no_panel_of_conditions_where_no_cell_was_drawn_for_one(maps):
    figure = drawn_cells({"vae": "VAE"}, maps[maps.obs["model"] == "vae"].copy(), scores_of([]))
    assert [axis.get_title() for axis in figure.axes] == [
        "real by type",
        "drawn by type",
        "real and drawn",
    ]


def test_a_row_tells_the_mean_scores_of_the_seed_that_is_shown(maps):
    rows = [
        ("mixture", 3, "two_sample_auc", 0.75),
        ("mixture", 3, "two_sample_auc", 0.25),
        ("mixture", 3, "right_label", 0.875),
    ]
    others = [
        ("mixture", 3, "mmd", 0.1),
        ("mixture", 0, "two_sample_auc", 0.99),
        ("vae", 4, "two_sample_auc", 0.98),
        ("vae", 3, "two_sample_auc", 0.97),
    ]
    figure = drawn_cells({"mixture": "Mixture", "vae": "VAE"}, maps, scores_of(rows + others))
    assert figure.axes[0].get_ylabel() == "Mixture, seed 3\nAUC 0.50, right label 0.88"
    assert figure.axes[4].get_ylabel() == "VAE, seed 4\nAUC 0.98"


def test_a_model_that_draws_nothing_has_a_row_that_says_why(maps):
    figure = drawn_cells({"bad": "Bad"}, maps, scores_of([]))
    assert figure.axes[0].get_ylabel() == "Bad"
    assert [text.get_text() for text in figure.axes[0].texts] == ["every seed failed"]


def images_of(axis) -> np.ndarray:
    """The images of a block, (n_rows, IMAGES_PER_ROW, SIDE, SIDE)."""
    picture = np.asarray(axis.images[0].get_array())
    step = SIDE + 1
    assert (picture[SIDE::step] == 0).all()
    assert (picture[:, SIDE::step] == 0).all()
    return picture.reshape(-1, step, IMAGES_PER_ROW, step).transpose(0, 2, 1, 3)[:, :, :SIDE, :SIDE]


def rows_of(axis) -> list[str]:
    return [label.get_text() for label in axis.get_yticklabels()]


def test_images_are_those_that_each_component_expects():
    mixture = drawn_as(["a", "no type"] * 12, ["all"] * 24, ["10", "2"] * 12, seed=3)
    figure = drawn_images({"mixture": "Mixture"}, {"mixture": mixture}, real_cells())
    (axis,) = figure.axes
    assert axis.get_title() == "Mixture, seed 3"
    assert rows_of(axis) == ["real", "10: a", "2"]
    images = images_of(axis)
    assert [image.mean() for image in images[1]] == list(range(0, 20, 2))
    assert [image.mean() for image in images[2]] == list(range(1, 20, 2))


def test_the_first_row_are_real_images_of_each_type_in_turn_upright():
    real = real_cells()
    figure = drawn_images({"vae": "VAE"}, {"vae": drawn_as(*[["all"] * 25] * 3)}, real)
    images = images_of(figure.axes[0])
    np.testing.assert_array_equal(
        images[0].reshape(IMAGES_PER_ROW, G), real.X[:IMAGES_PER_ROW].toarray()
    )
    assert rows_of(figure.axes[0]) == ["real", "drawn", ""]
    assert [image.mean() for image in images[1:].reshape(-1, SIDE, SIDE)] == list(range(20))


def test_rows_of_a_model_that_was_told_types_are_the_types():
    figure = drawn_images(
        {"cvae": "CVAE"},
        {"cvae": drawn_as(["b"] * 11 + ["a"] * 3, *[["all"] * 14] * 2)},
        real_cells(),
    )
    assert rows_of(figure.axes[0]) == ["real", "b", "a"]
    assert images_of(figure.axes[0])[2, 3:].max() == 0


def test_blocks_do_not_overlap_and_one_without_images_says_why():
    titles = {name: name for name in ("long", "short", "bad", "wide")}
    some = drawn_as(*[["all"] * 20] * 3)
    drawn = {
        "long": drawn_as(["a"] * 20, ["all"] * 20, [str(i) for i in range(20)]),
        "short": some,
        "wide": some,
    }
    drawn["bad"] = no_cells(GENES, "every seed failed")
    figure = drawn_images(titles, drawn, real_cells())
    boxes = {axis.get_title().split(",")[0]: axis.get_position() for axis in figure.axes}
    assert boxes["long"].x0 < boxes["short"].x0 == boxes["bad"].x0 == boxes["wide"].x0
    assert boxes["short"].y0 > boxes["bad"].y1 > boxes["bad"].y0 > boxes["wide"].y1
    assert all(box.y0 >= 0 and box.y1 < 1 and box.x1 <= 1 for box in boxes.values())
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert said == [[], [], ["every seed failed"], []]


def test_images_that_are_not_square_are_not_drawn():
    drawn, real = drawn_as(*[["all"] * 20] * 3)[:, 1:].copy(), real_cells()[:, 1:].copy()
    figure = drawn_images({"vae": "VAE"}, {"vae": drawn}, real)
    assert [text.get_text() for text in figure.axes[0].texts] == ["the images are not square"]
