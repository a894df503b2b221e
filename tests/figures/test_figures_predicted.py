"""Figures of predicted treated cells, from tables with known answers."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from scipy import sparse

from sclatent.figures.gene_means import N_NAMED, gene_means
from sclatent.figures.marker_ranking import marker_ranking
from sclatent.figures.panels import PANELS_PER_ROW
from sclatent.figures.style import COLORS, UNMATCHED, WIDTH, save
from sclatent.io.tables import as_kind, concat_tables
from sclatent.perturbation.scores import rank_markers, real_responses, score_targets
from sclatent.perturbation.targets import PerturbationData, Prediction

G = 30
GENES = [f"g{i:02d}" for i in range(G)]
OUT = [3, 8, 14, 21, 27]  # genes that the predictor "off" has wrong
TYPES = ["a", "b"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def response(cell_type, method, mean, score, seed=None):
    names = {
        "seed": seed,
        "condition": "stim",
        "cell_type": cell_type,
        "method": method,
        "gene": GENES,
    }
    return pd.DataFrame({**names, "mean": mean, "score": score})


def responses(types=TYPES, methods=("exact", "off"), without=()):
    """Tables with predictors: "exact" has half of the real means and the real scores, others are
    off in the genes OUT.
    """
    tables, treated, score = [], np.linspace(0, 4, G), np.linspace(0, 9, G)
    for cell_type in types:
        tables.append(response(cell_type, "control", treated[::-1], np.nan))
        tables.append(response(cell_type, "treated", treated, score))
        wrong = np.where(np.isin(np.arange(G), OUT), treated + 2, treated)
        made = {
            name: (treated / 2, score) if name == "exact" else (wrong, score[::-1])
            for name in methods
        }
        tables += [
            response(cell_type, name, *made[name], seed=4)
            for name in methods
            if (cell_type, name) not in without
        ]
    return as_kind(concat_tables(tables, "responses"), "responses")


def visible(figure):
    return [axis for axis in figure.axes if axis.axison]


def titles(axis):
    return [axis.get_title(loc) for loc in ("center", "left", "right")]


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_means_are_drawn_against_those_of_treated_cells():
    table = responses()
    figure = gene_means(table, "Mine")
    axes = visible(figure)
    assert [titles(axis)[0].strip() for axis in axes] == ["no change", "exact", "off", "", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["a\nseed 4", "", "", "b\nseed 4", "", ""]
    of_type = table[table["cell_type"] == "a"].set_index("method")
    for axis, method in zip(axes, ["control", "exact", "off"], strict=False):
        drawn = axis.collections[0].get_offsets()
        np.testing.assert_allclose(
            drawn, np.column_stack([of_type.loc["treated", "mean"], of_type.loc[method, "mean"]])
        )
    assert figure.get_size_inches()[0] == WIDTH
    assert figure.get_suptitle() == "Mine"


def test_r2_is_blind_to_slope_and_names_the_genes_far_from_the_line():
    _, exact, off = visible(gene_means(responses(), ""))[:3]
    assert titles(exact)[1:] == ["R² 1.000", "control 1.000"]  # control is the mirror image
    lines = {round(line.get_slope(), 6) for line in exact.lines}
    assert lines == {1, 0.5}  # identity and regression
    assert titles(off)[1] != "R² 1.000"
    assert set(texts(off)) == {GENES[i] for i in OUT}


def test_names_of_genes_stand_apart_within_the_panel_and_hide_no_named_point():
    figure = gene_means(responses(types=["a"]), "")
    figure.canvas.draw()
    for axis in visible(figure):
        assert len(axis.texts) == N_NAMED
        boxes = [matplotlib.text.Text.get_window_extent(text) for text in axis.texts]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
            assert axis.bbox.fully_contains(box.x0, box.y0)
            assert axis.bbox.fully_contains(box.x1, box.y1)
            named = axis.transData.transform(axis.collections[1].get_offsets())
            assert not any(box.fully_contains(*point) for point in named)


@pytest.fixture(scope="module")
def measured():
    """Responses and scores, as jobs find them, of a prediction of one type with noise."""
    rng = np.random.default_rng(0)
    groups = [(cell_type, condition) for cell_type in TYPES for condition in ("ctrl", "stim")]
    obs = pd.DataFrame(groups * 40, columns=["cell_type", "condition"])
    obs["split"] = np.where(
        (obs["cell_type"] == "a") & (obs["condition"] == "stim"), "held_out", "train"
    )
    rates = np.where(
        (obs["condition"] == "stim").to_numpy()[:, None] & (np.arange(G) < 6), 5, 1
    ) * rng.lognormal(0, 1, G)
    x = np.log1p(rng.poisson(rates))
    cells = PerturbationData(
        sparse.csr_matrix(x.astype(np.float32)),
        obs.apply(pd.Categorical),
        np.array(GENES),
        "ctrl",
        True,
    )
    real = real_responses(cells)

    def predict(target):
        control = cells.dense(target.control)
        yield Prediction("no_change", control, control), target
        noise = rng.normal(0, 0.3, control.shape).astype(np.float32)
        yield Prediction("model", control + noise[0], control + noise), target

    scored = score_targets(cells, rank_markers(real), predict, 0)
    table = as_kind(concat_tables([real, scored.responses], "responses"), "responses")
    return table, scored.scores.set_index(["method", "metric", "subset"])["value"]


def test_r2_of_a_panel_is_that_of_the_scores(measured):
    table, score = measured
    unchanged, model = visible(gene_means(table, ""))
    for axis, method in ((unchanged, "no_change"), (model, "model")):
        assert titles(axis)[1] == f"R² {score[method, 'pearson_squared_mean', 'all']:.3f}"
    assert titles(unchanged)[2] == "control 1.000"


def test_the_overlap_of_a_panel_is_that_of_the_scores(measured):
    table, score = measured
    _, model = visible(marker_ranking(table, ""))
    assert model.get_title() == f"model\n{10 * score['model', 'marker_overlap', 'top_10']:.0f}/10"


def test_genes_of_the_real_ranking_are_coloured_in_that_of_a_predictor():
    real, exact, off = visible(marker_ranking(responses(), ""))[:3]
    first = GENES[:-11:-1]
    assert texts(real) == texts(exact) == first
    assert texts(off) == GENES[:10]
    assert [titles(axis)[0] for axis in (real, exact, off)] == [
        "real treated\n",
        "exact\n10/10",
        "off\n0/10",
    ]
    assert [{text.get_color() for text in axis.texts} for axis in (exact, off)] == [
        {"black"},
        {"0.35"},
    ]
    for axis, color in ((real, COLORS[4]), (exact, COLORS[4]), (off, UNMATCHED)):
        assert {matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in axis.patches} == {
            color.upper()
        }
    assert [bar.get_width() for bar in exact.patches] == pytest.approx(np.linspace(9, 0, G)[:10])


@pytest.mark.parametrize(
    ("n_types", "n_methods", "rows"),
    [(1, 1, 1), (7, 1, 4), (3, 2, 3), (2, 3, 2), (7, 5, 7), (2, 6, 4), (1, 13, 3)],
)
def test_panels_stand_in_rows_of_six_at_most_under_their_method(n_types, n_methods, rows):
    types, methods = (
        [f"type_{i}" for i in range(n_types)],
        [f"method_{i}" for i in range(n_methods)],
    )
    figure = marker_ranking(responses(types, methods), "")
    shape = figure.axes[0].get_gridspec()
    assert (shape.nrows, shape.ncols <= PANELS_PER_ROW) == (rows, True)
    assert len(visible(figure)) == n_types * (n_methods + 1)
    labelled = [axis.get_ylabel().split("\n")[0] for axis in visible(figure) if axis.get_ylabel()]
    assert labelled == types
    headings = {
        axis.get_subplotspec().colspan.start: axis.get_title().split("\n")[0]
        for axis in figure.axes[: shape.ncols]
    }
    if n_methods < PANELS_PER_ROW:
        for axis, name in zip(
            visible(figure),
            ["real treated", *(m.replace("_", " ") for m in methods)] * n_types,
            strict=True,
        ):
            assert headings[axis.get_subplotspec().colspan.start] == name


def test_a_prediction_that_is_missing_says_so():
    for draw in (gene_means, marker_ranking):
        axes = visible(draw(responses(without=[("b", "off")]), ""))
        assert len(axes) == 6
        assert texts(axes[-1]) == ["no prediction"]
        assert "no prediction" not in texts(axes[2])
        failed = visible(draw(responses(methods=()), ""))  # every seed: only real cells are left
        assert [texts(axis) for axis in failed[1::2]] == [["no prediction"]] * 2
        nothing = draw(responses().iloc[:0], "")
        assert texts(nothing.axes[0]) == ["too few cells of every type"]


def test_conditions_are_named_where_there_are_several():
    two = pd.concat([responses(["a"]), responses(["a"]).assign(condition="drug")])
    labels = [axis.get_ylabel() for axis in visible(gene_means(two, "")) if axis.get_ylabel()]
    assert labels == ["a\nstim\nseed 4", "a\ndrug\nseed 4"]


@pytest.mark.parametrize("draw", [gene_means, marker_ranking])
def test_text_is_readable_and_equal_tables_give_equal_files(draw, tmp_path):
    for name in ("a", "b"):
        figure = draw(responses(), "Mine")
        save(figure, tmp_path / f"{name}.svg", "origin")
    sizes = [
        text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text()
    ]
    assert min(sizes) >= 5
    for ending in ("svg", "pdf"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
