"""Treated cells as other types' responses and trained models predict them, and how predictions are
scored.
"""

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import job
from scipy import sparse

import perturb
import perturb_data
from sclatent.common.errors import TrainingError
from sclatent.config.models import Training
from sclatent.io.expression import Values
from sclatent.io.tables import as_kind, concat_tables, read_table, write_table
from sclatent.models import pca
from sclatent.models.base import Latents
from sclatent.perturbation import baselines as responses
from sclatent.perturbation.baselines import WEIGHTS, MeanProfiles, predict, similarity_weights
from sclatent.perturbation.by_models import predictions_of_model
from sclatent.perturbation.scores import (
    positions,
    predictions_without_model,
    rank_markers,
    real_responses,
    score_targets,
    with_bounds,
)
from sclatent.perturbation.targets import PerturbationData, Prediction
from sclatent.training.inputs import Input
from sclatent.training.labelled import TrainingData
from sclatent.training.model_with_input import ModelWithInput
from sclatent.training.run import RunSettings, train_run
from sclatent.training.saved import save_run

G = 40
SHIFTS = ["mean_shift", "nearest_shift", "similarity_shift"]
WITHOUT_MODEL = ["real_cells", "no_change", *SHIFTS, "pca_shift"]
ARITHMETIC = [
    "latent_mean_shift",
    "latent_nearest_shift",
    "latent_similarity_shift",
    "latent_similarity_residual",
    "latent_kriging_shift",
    "scgen",
]
FLIPS = {"cvae": ["flip"], "cgmvae": ["flip_w", "flip_z", "flip_z_shift", "flip_sample"]}


def treated_cells(x, obs, held_out=True) -> PerturbationData:
    """Cells with the columns of obs; condition ctrl is the control."""
    obs = pd.DataFrame(obs).apply(pd.Categorical)
    x = sparse.csr_matrix(np.asarray(x, dtype=np.float32))
    return PerturbationData(
        x, obs, np.array([f"g{i}" for i in range(x.shape[1])]), "ctrl", held_out
    )


def draw(sizes, n_genes=G, held_out=("b",), treatments=("stim",), seed=0) -> PerturbationData:
    """Log counts of types in condition ctrl and some treatments, which raise five genes of all
    types, and one of each.

    sizes: number of cells in each condition by type. held_out: types whose treated cells are
    held out.
    """
    rng = np.random.default_rng(seed)
    x, obs = [], []
    common = rng.lognormal(0, 1, n_genes)
    for number, (cell_type, n) in enumerate(sizes.items()):
        rates = common * rng.lognormal(0, 0.7, n_genes)
        for level, condition in enumerate(["ctrl", *treatments]):
            effect = np.ones(n_genes)
            effect[[*range(5 * level, 5 * level + 5), 15 + number]] = 5 if level else 1
            x.append(np.log1p(rng.poisson(rates * effect, (n, n_genes))))
            split = "held_out" if level and cell_type in held_out else "train"
            obs += [{"cell_type": cell_type, "condition": condition, "split": split}] * n
    return treated_cells(np.concatenate(x), obs, bool(held_out))


def constant(sizes, held_out=("b",)) -> tuple[PerturbationData, MeanProfiles]:
    """Cells that are all alike within a type and a condition, and the profiles of every type."""
    rng = np.random.default_rng(1)
    profiles = MeanProfiles(*rng.gamma(2.0, 1.0, (2, len(sizes), G)).astype(np.float32))
    x, obs = [], []
    for number, (cell_type, n) in enumerate(sizes.items()):
        for condition, of_types in (("ctrl", profiles.control), ("stim", profiles.treated)):
            x.append(np.tile(of_types[number], (n, 1)))
            split = "held_out" if condition != "ctrl" and cell_type in held_out else "train"
            obs += [{"cell_type": cell_type, "condition": condition, "split": split}] * n
    return treated_cells(np.concatenate(x), obs), profiles


def targets_of(cells) -> dict:
    return {
        (target.condition, target.cell_type): target
        for target, _ in cells.targets()
        if target is not None
    }


def only_target(cells):
    (target,) = targets_of(cells).values()
    return target


def reasons_of(cells) -> list[str]:
    return [why for target, why in cells.targets() if target is None]


def with_values(cells, rows, values) -> PerturbationData:
    """The same cells with other values in some rows."""
    x = cells.x.toarray()
    x[rows] = values
    return replace(cells, x=sparse.csr_matrix(x))


@pytest.fixture(scope="module")
def cells():
    return draw({"a": 24, "b": 120, "c": 20, "d": 26})


@pytest.fixture(scope="module")
def in_sample(cells):
    return replace(
        cells,
        obs=cells.obs.assign(split=pd.Categorical(["train"] * len(cells.obs))),
        held_out=False,
    )


@pytest.fixture(scope="module")
def partly(cells) -> tuple[PerturbationData, np.ndarray]:
    """The same cells, of which some of type c, control and treated, are held out, too; and all rows
    held out.
    """
    split = cells.obs["split"].to_numpy(dtype=object).copy()
    split[np.concatenate([cells.rows("c", "ctrl")[:7], cells.rows("c", "stim")[:7]])] = "held_out"
    return replace(cells, obs=cells.obs.assign(split=pd.Categorical(split))), np.flatnonzero(
        split == "held_out"
    )


# ---- responses of other types


def plane(n_types, seed=0):
    """Profiles of types in a plane, and responses that are a linear function of the profile."""
    rng = np.random.default_rng(seed)
    profiles = rng.normal(size=(n_types, 2)) @ rng.normal(size=(2, G)) + rng.normal(size=G)
    return profiles, profiles @ (rng.normal(size=(G, G)) / G)


@pytest.mark.parametrize("n_types", [1, 2, 3, 7])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_types_sum_to_one(name, n_types):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        weights = WEIGHTS[name](rng.normal(size=G), MeanProfiles(*rng.normal(size=(2, n_types, G))))
        assert weights.shape == (n_types,)
        assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_order_of_types_is_of_no_account(name):
    rng, order = np.random.default_rng(0), [3, 0, 4, 1, 2]
    profile, (control, treated) = rng.normal(size=G), rng.normal(size=(2, 5, G))
    weights = WEIGHTS[name](profile, MeanProfiles(control, treated))
    np.testing.assert_allclose(
        WEIGHTS[name](profile, MeanProfiles(control[order], treated[order])),
        weights[order],
        atol=1e-9,
    )


def test_the_nearest_type_has_all_weight():
    control, treated = np.random.default_rng(0).normal(size=(2, 4, G))
    for t in range(4):
        near = 0.6 * control[t] + 0.4 * control[(t + 1) % 4]
        assert WEIGHTS["nearest"](near, MeanProfiles(control, treated)).tolist() == [
            k == t for k in range(4)
        ]


def test_two_types_have_equal_weights_however_similar():
    control, treated = np.random.default_rng(0).normal(size=(2, 2, G))
    assert similarity_weights(control[0], MeanProfiles(control, treated)).tolist() == [0.5, 0.5]


def test_types_that_are_all_alike_have_equal_weights():
    known = MeanProfiles(np.zeros((4, G)), np.random.default_rng(0).normal(size=(4, G)))
    assert similarity_weights(np.ones(G), known).tolist() == [0.25] * 4


def test_a_mixture_of_types_responds_like_the_mixture_where_responses_are_linear_in_profiles():
    for seed in range(5):
        profiles, response = plane(7, seed)
        known = MeanProfiles(profiles, profiles + response)
        shares = np.random.default_rng(seed).dirichlet(np.ones(7))
        weights = similarity_weights(shares @ profiles, known)
        true = shares @ response
        error, floor = (np.linalg.norm(w @ response - true) for w in (weights, np.full(7, 1 / 7)))
        assert error < 0.05 * floor
        np.testing.assert_allclose(weights @ profiles, shares @ profiles, atol=0.05)


def test_types_have_about_equal_weights_where_responses_have_nothing_to_do_with_profiles():
    rng = np.random.default_rng(0)
    profiles, _ = plane(7)
    known = MeanProfiles(profiles, profiles + rng.normal(size=(7, G)))
    assert np.abs(similarity_weights(profiles[2], known) - 1 / 7).max() < 0.1
    linear = MeanProfiles(profiles, profiles + plane(7)[1])
    assert np.abs(similarity_weights(profiles[2], linear) - 1 / 7).max() > 0.2


def rank_deficient(seed=0):
    """Control cells of a type asked for, known responses and training cells, all in a space of six
    dimensions.
    """
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(6, G))
    control, training = ((rng.normal(size=(n, 6)) @ axes).astype(np.float32) for n in (12, 80))
    return control, MeanProfiles(*(rng.normal(size=(2, 4, 6)) @ axes)), sparse.csr_matrix(training)


def test_a_response_that_all_types_share_is_predicted_by_every_shift():
    control, known, training = rank_deficient()
    shift = training[0].toarray().ravel() - training[1].toarray().ravel()
    predicted = predict(control, MeanProfiles(known.control, known.control + shift), training, 0)
    assert list(predicted) == ["no_change", *SHIFTS, "pca_shift"]
    assert predicted.pop("no_change") is control
    for name, treated in predicted.items():
        np.testing.assert_allclose(treated, control + shift, atol=1e-4, err_msg=name)


def test_shifts_are_weighted_responses():
    control, known, training = rank_deficient()
    predicted, response = predict(control, known, training, 0), known.treated - known.control
    for name, weights in WEIGHTS.items():
        np.testing.assert_allclose(
            predicted[f"{name}_shift"] - control,
            np.tile(weights(control.mean(axis=0), known) @ response, (12, 1)),
            atol=1e-4,
        )


def test_a_shift_in_principal_components_that_hold_everything_is_the_mean_shift():
    predicted = predict(*rank_deficient(), 0)
    np.testing.assert_allclose(predicted["pca_shift"], predicted["mean_shift"], atol=1e-3)


def test_a_shift_in_principal_components_is_what_they_hold(monkeypatch):
    monkeypatch.setattr(responses, "SHIFT_PCS", 3)
    control, known, training = rank_deficient()
    centre = training.toarray().mean(axis=0)
    axes = np.linalg.svd(training.toarray() - centre)[2][:3]
    moved = control - centre + (known.treated - known.control).mean(axis=0)
    np.testing.assert_allclose(
        predict(control, known, training, 0)["pca_shift"], moved @ axes.T @ axes + centre, atol=1e-3
    )


def test_predictions_repeat_to_the_last_bit():
    first, second = (predict(*rank_deficient(), 3) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert {predicted.dtype for predicted in first.values()} == {np.dtype(np.float32)}


# ---- what is known of a treatment, and what is asked


def test_cells_held_out_are_asked_for_beside_all_control_cells_of_their_type(cells):
    target = only_target(cells)
    assert (target.condition, target.cell_type) == ("stim", "b")
    kind, condition = cells.obs["cell_type"], cells.obs["condition"]
    assert target.treated.tolist() == np.flatnonzero((kind == "b") & (condition == "stim")).tolist()
    assert target.control.tolist() == np.flatnonzero((kind == "b") & (condition == "ctrl")).tolist()
    assert cells.known_types(target) == ["a", "c", "d"]


def test_in_sample_every_type_and_all_are_asked_for_in_cells_held_out_at_random(
    in_sample,
):
    everyone = targets_of(in_sample)
    assert in_sample.known_types(everyone["stim", "b"]) == ["a", "c", "d"]
    assert list(everyone) == [("stim", cell_type) for cell_type in (*"abcd", "all")]
    assert {
        name: (len(target.control), len(target.treated)) for (_, name), target in everyone.items()
    } == {
        "a": (24, 24),
        "b": (120, 120),
        "c": (20, 20),
        "d": (26, 26),
        "all": (190, 190),
    }
    split = np.where(np.arange(len(in_sample.obs)) % 3, "train", "held_out")
    some = targets_of(replace(in_sample, obs=in_sample.obs.assign(split=pd.Categorical(split))))
    assert list(some) == list(everyone)
    for name, target in some.items():
        for rows, all_rows in (
            (target.control, everyone[name].control),
            (target.treated, everyone[name].treated),
        ):
            assert rows.tolist() == [row for row in all_rows if row % 3 == 0]


def test_a_type_with_too_few_cells_is_named_with_the_reason():
    for sizes, held_out, expected in [
        ({"a": 20, "b": 4}, "b", ["b has 4 cells in ctrl or stim, too few to compare"]),
        ({"a": 20, "b": 5}, "b", []),
        (
            {"a": 20, "b": 4, "c": 3},
            "",
            [
                "b has 4 cells in ctrl or stim, too few to compare",
                "c has 3 cells in ctrl or stim, too few to compare",
            ],
        ),
    ]:
        assert reasons_of(draw(sizes, held_out=held_out)) == expected
    few = draw({"a": 20, "b": 20, "c": 4})
    assert few.known_types(only_target(few)) == ["a"]
    table, _, missing = score_targets(draw({"a": 20, "b": 4}), pd.DataFrame(), None, 0)
    assert (len(table), missing[0][1]) == (0, "b has 4 cells in ctrl or stim, too few to compare")


def test_a_response_is_known_of_types_that_were_trained_on_in_both_conditions():
    cells = draw({"a": 20, "b": 20, "c": 20}, held_out=("b", "c"))
    targets = targets_of(cells)
    assert list(targets) == [("stim", "b"), ("stim", "c")]
    assert [cells.known_types(target) for target in targets.values()] == [["a"], ["a"]]
    alone = draw({"b": 20, "c": 20}, held_out=("b", "c"))
    assert reasons_of(alone) == [
        f"no type but {name} has 5 training cells in both ctrl and stim" for name in "bc"
    ]


def test_known_profiles_are_means_of_training_cells_alone(cells, partly):
    partly, held_out = partly
    target = targets_of(partly)["stim", "b"]
    known, x = partly.known_profiles(target), partly.x.toarray()
    for of_types, condition in ((known.control, "ctrl"), (known.treated, "stim")):
        for profile, name in zip(of_types, "acd", strict=True):
            rows = np.setdiff1d(partly.rows(name, condition), held_out)
            np.testing.assert_allclose(profile, x[rows].mean(axis=0), rtol=1e-5)
    of_all = cells.known_profiles(target)
    assert not np.array_equal(known.control, of_all.control)
    assert not np.array_equal(known.treated, of_all.treated)


def test_each_of_several_treatments_is_predicted_by_its_own_responses():
    cells = draw({"a": 20, "b": 20, "c": 20}, treatments=("stim", "drug"))
    targets = targets_of(cells)
    assert sorted(targets) == [("drug", "b"), ("stim", "b")]
    for condition, target in targets.items():
        assert set(cells.obs["condition"].iloc[target.treated]) == {condition[0]}
    raised = {c: cells.known_profiles(targets[c, "b"]) for c in ("stim", "drug")}
    for condition, genes, others in (
        ("stim", slice(5, 10), slice(10, 15)),
        ("drug", slice(10, 15), slice(5, 10)),
    ):
        change = (raised[condition].treated - raised[condition].control).mean(axis=0)
        assert change[genes].min() > change[others].max()
    markers = rank_markers(real_responses(cells))
    assert markers.groupby(["condition", "cell_type"]).size().to_dict() == {
        ("drug", "b"): G,
        ("stim", "b"): G,
    }
    table = score_targets(
        cells, markers, lambda target: predictions_without_model(cells, target, 0), 0
    ).scores
    bounded = with_bounds(table, table).set_index(["condition", "method", "metric", "subset"])
    for condition in ("stim", "drug"):
        found = bounded.loc[condition, "mean_shift", "mse_mean", "all"]
        assert found["floor"] == bounded.loc[condition, "no_change", "mse_mean", "all"]["value"]
        assert found["value"] < found["floor"]


def predictions_by_name(predictions) -> dict:
    return {prediction.method: prediction for prediction, _ in predictions}


def test_predictions_without_model_see_nothing_of_cells_held_out(partly):
    partly, held_out = partly
    target = targets_of(partly)["stim", "b"]
    changed = with_values(partly, held_out, 99)
    before, after = (
        predictions_by_name(predictions_without_model(c, target, 0)) for c in (partly, changed)
    )
    assert list(before) == WITHOUT_MODEL
    for name in WITHOUT_MODEL[1:]:
        assert np.array_equal(before[name].expected, after[name].expected), name
        assert np.array_equal(before[name].drawn, after[name].drawn), name
    assert (after["real_cells"].expected == 99).all()
    learnt = with_values(partly, partly.rows("c", "stim", "train"), 1)
    moved = predictions_by_name(predictions_without_model(learnt, target, 0))
    assert not np.array_equal(before["mean_shift"].expected, moved["mean_shift"].expected)


def test_the_ceiling_is_one_half_of_the_real_cells_compared_with_the_other(cells):
    target = only_target(cells)
    (ceiling, compared), *rest = predictions_without_model(cells, target, 0)
    assert len(ceiling.expected) == len(compared.treated) == 60
    both = np.concatenate([ceiling.expected, cells.dense(compared.treated)])
    assert sorted(both.tolist()) == sorted(cells.dense(target.treated).tolist())
    assert compared.control is target.control
    assert all(with_all is target for _, with_all in rest)


# ---- tables of scores


def score(cells, markers, **made) -> tuple[pd.Series, list]:
    """Scores, by method, metric and subset, of expected cells that functions make of real treated
    cells, with what is missing.
    """

    def predict(target):
        for name, make in made.items():
            predicted = make(cells.dense(target.treated)).astype(np.float32)
            yield Prediction(name, predicted, predicted), target

    table, _, missing = score_targets(cells, markers, predict, 0)
    return table.set_index(["method", "metric", "subset"])["value"], missing


@pytest.fixture(scope="module")
def baselines(cells):
    """Markers, scores without a model with their bounds, and what is missing."""
    markers = rank_markers(real_responses(cells))
    table, _, missing = score_targets(
        cells, markers, lambda target: predictions_without_model(cells, target, 0), 0
    )
    return markers, with_bounds(table, table), missing


def test_predictions_with_known_faults_score_as_they_should(cells, baselines):
    shuffle = np.random.default_rng(0).permutation(G)
    value, _ = score(
        cells,
        baselines[0],
        perfect=lambda real: real,
        scaled=lambda real: 3 * real,
        shifted=lambda real: real + 1,
        shuffled=lambda real: real[:, shuffle],
    )
    for subset in ("all", "top_20"):
        squared, r2 = value[:, "pearson_squared_mean", subset], value[:, "r2_mean", subset]
        assert squared[["perfect", "scaled", "shifted"]].tolist() == pytest.approx(
            [1, 1, 1], abs=1e-6
        )
        assert r2["perfect"] == pytest.approx(1, abs=1e-6)
        assert max(r2["scaled"], r2["shuffled"]) < 0
        assert squared["shuffled"] < 0.2
        assert r2["shifted"] < 0.5
        assert value["shifted", "intercept_mean", subset] == pytest.approx(-1, abs=1e-4)
        assert value["scaled", "slope_mean", subset] == pytest.approx(1 / 3, abs=1e-4)
    assert value["perfect", "marker_overlap", "top_10"] == 1
    assert value["shuffled", "marker_overlap", "top_10"] < 0.6
    assert (
        value["perfect", "two_sample_auc", "all"]
        < 0.5
        < 0.99
        < value["shuffled", "two_sample_auc", "all"]
    )
    assert value["perfect", "e_distance", "all"] < value["shifted", "e_distance", "all"] / 10


def test_expected_cells_are_compared_by_means_and_drawn_ones_by_distances(cells, baselines):
    def predict(target):
        real, control = cells.dense(target.treated), cells.dense(target.control)
        yield Prediction("means", real, control), target
        yield Prediction("cells", control, real), target

    table = score_targets(cells, baselines[0], predict, 0).scores
    value = table.set_index(["method", "metric", "subset"])["value"]
    assert value["means", "mse_mean", "all"] == 0 < value["cells", "mse_mean", "all"]
    assert value["cells", "e_distance", "all"] < 0 < value["means", "e_distance", "all"]
    assert (
        value["cells", "marker_overlap", "top_10"] == 1 > value["means", "marker_overlap", "top_10"]
    )


def test_the_floor_is_below_the_ceiling_and_a_shift_between(baselines):
    table = baselines[1]
    assert set(table["method"]) == set(WITHOUT_MODEL)
    assert set(table["split"]) == {"held_out"}
    value = table.set_index(["metric", "subset", "method"])["value"]
    better = {"pearson_squared_mean": 1, "r2_mean": 1, "mse_mean": -1, "e_distance": -1, "mmd": -1}
    for metric, sign in better.items():
        floor, shift, ceiling = (
            sign * value[metric, "all", name] for name in ("no_change", "mean_shift", "real_cells")
        )
        assert floor < shift < ceiling, metric
    assert (
        value["two_sample_auc", "all", "real_cells"] < value["two_sample_auc", "all", "no_change"]
    )
    assert value["marker_overlap", "top_10", "no_change"] == pytest.approx(10 / G)
    assert value["marker_overlap", "top_10", "mean_shift"] > 0.4


def test_every_score_stands_beside_the_bounds_of_its_own_type_metric_and_genes():
    cells = draw({"a": 20, "b": 24, "c": 22, "d": 20}, held_out=("b", "c"))
    markers = rank_markers(real_responses(cells))
    baselines = score_targets(
        cells, markers, lambda target: predictions_without_model(cells, target, 0), 0
    ).scores
    control = {
        target.cell_type: cells.dense(target.control) for target in targets_of(cells).values()
    }

    def predict(target):
        yield (
            Prediction("model", control[target.cell_type] + 1, control[target.cell_type] + 1),
            target,
        )

    scores = score_targets(cells, markers, predict, 0).scores
    bounded = with_bounds(scores, baselines)
    assert len(bounded) == len(scores)
    assert set(bounded["cell_type"]) == {"b", "c"}
    value = baselines.set_index(["method", "cell_type", "metric", "subset"])["value"]
    for row in bounded.itertuples():
        for bound, method in ((row.floor, "no_change"), (row.ceiling, "real_cells")):
            key = (method, row.cell_type, row.metric, row.subset)
            assert bound == value[key] if key in value else np.isnan(bound), key
    assert bounded.loc[bounded["metric"] == "pearson_change", "floor"].isna().all()
    assert bounded["floor"].nunique() > len(bounded) / 2


def test_tables_keep_their_contracts(cells, baselines, tmp_path):
    markers, bounded, _ = baselines
    empty = with_bounds(
        concat_tables([], "perturbation").assign(dataset="toy", model="ae"), bounded
    )
    of_model = bounded.drop(columns=["floor", "ceiling"]).assign(dataset="toy", model="ae", seed=3)
    for table in (bounded.assign(dataset="toy"), with_bounds(of_model, bounded), empty):
        write_table(as_kind(table, "perturbation"), tmp_path / "table.tsv", "perturbation", {})
        read = read_table(tmp_path / "table.tsv", "perturbation")
        assert len(read) == len(table)
        np.testing.assert_array_equal(read["value"], table["value"].astype(float))
    write_table(markers, tmp_path / "markers.tsv", "markers", {})
    read = read_table(tmp_path / "markers.tsv", "markers")
    pd.testing.assert_frame_equal(read, markers, check_dtype=False)
    assert np.array_equal(
        positions(read, only_target(cells), cells.genes),
        positions(markers, only_target(cells), cells.genes),
    )


def test_responses_are_means_of_expected_cells_and_ranks_of_drawn_ones_of_every_gene(
    cells, baselines
):
    target = only_target(cells)
    control, treated = cells.dense(target.control), cells.dense(target.treated)

    def predict(target):
        yield Prediction("no_change", control, control), target
        yield Prediction("model", control + 1, treated), target

    predicted = score_targets(cells, baselines[0], predict, 0).responses
    assert list(predicted["method"].unique()) == [
        "model"
    ]  # the floor is the control cells themselves
    real = real_responses(cells).set_index("method")
    for table in (predicted, real.loc["control"], real.loc["treated"]):
        assert table["gene"].tolist() == cells.genes.tolist()
    np.testing.assert_allclose(predicted["mean"], control.mean(axis=0) + 1, rtol=1e-5)
    np.testing.assert_allclose(real.loc["treated", "mean"], treated.mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(predicted["score"], real.loc["treated", "score"])
    assert predicted.loc[5:9, "score"].min() > 5 > predicted.loc[10:14, "score"].max()
    assert real.loc["control", "score"].isna().all()


def test_markers_are_the_genes_that_rise_in_real_cells(cells, baselines):
    markers, target = baselines[0], only_target(cells)
    assert markers["rank"].tolist() == list(range(1, G + 1))
    assert markers["score"].is_monotonic_decreasing
    found = positions(markers, target, cells.genes)
    assert set(found[:6]) == {5, 6, 7, 8, 9, 16}
    shuffled = markers.sample(frac=1, random_state=0)
    assert np.array_equal(positions(shuffled, target, cells.genes), found)
    with pytest.raises(ValueError, match="39 genes are ranked for b, not 40"):
        positions(markers[1:], target, cells.genes)
    with pytest.raises(ValueError, match="0 genes are ranked for b, not 40"):
        positions(markers.assign(condition="drug"), target, cells.genes)


def test_a_hundred_genes_are_ranked_where_there_are_more():
    cells = draw({"a": 12, "b": 12}, n_genes=130)
    markers = rank_markers(real_responses(cells))
    assert len(markers) == 100
    value, missing = score(cells, markers, perfect=lambda real: real)
    assert {subset for *_, subset in value.index} == {"all", "top_100", "top_20", "top_10"}
    assert (
        value["perfect", "marker_overlap", "top_100"] > 0.98
    )  # genes that tie for the last places count by chance
    assert missing == [
        ("perfect, b, stim: two_sample_auc (all)", "12 cells are fewer than the 23 components")
    ]


def test_what_does_not_apply_has_a_reason(baselines):
    _, table, missing = baselines
    reasons = dict(missing)
    assert len(reasons) == len(missing)
    assert reasons.pop("b, stim: top_100") == "there are 40 genes"
    for name in WITHOUT_MODEL:
        assert (
            reasons.pop(f"{name}, b, stim: marker_overlap (top_100)") == "there are only 40 genes"
        )
    for metric in ("pearson_change", "cosine_change"):
        for genes in ("all", "top_20"):
            why = "the predicted change is zero for all genes"
            assert reasons.pop(f"no_change, b, stim: {metric} ({genes})") == why
            assert not ((table["method"] == "no_change") & (table["metric"] == metric)).any()
    assert reasons == {}


def test_in_sample_there_are_floor_and_ceiling_alone(in_sample):
    table = score_targets(
        in_sample,
        rank_markers(real_responses(in_sample)),
        lambda t: predictions_without_model(in_sample, t, 0),
        0,
    ).scores
    assert set(table["method"]) == {"no_change", "real_cells"}
    assert set(table["split"]) == {"in_sample"}
    assert sorted(set(table["cell_type"])) == sorted([*"abcd", "all"])


# ---- predictions by trained models


def trained_on(cells, family, epochs=1, input=None, **hyperparameters):
    """A model of a family that was shortly trained on the training cells, and the record of its
    run.
    """
    torch.manual_seed(0)
    obs = cells.obs[cells.obs["split"] == "train"]
    x = cells.x[obs.index]
    counts = (
        sparse.csr_matrix(np.rint(np.expm1(x.toarray())))
        if hyperparameters.get("likelihood") == "nb"
        else None
    )
    data = TrainingData(
        Values(x, obs.index.astype(str).to_numpy(), np.ones(len(obs), dtype=bool), counts=counts)
    )
    conditions = []
    if family in FLIPS:
        conditions = sorted(set(obs["condition"]))
        one_hot = torch.eye(len(conditions))[[conditions.index(name) for name in obs["condition"]]]
        data = replace(data, condition=one_hot, conditions=tuple(conditions))
    settings = RunSettings(
        family=family,
        hyperparameters=hyperparameters,
        input=input or {},
        training=Training(epochs=epochs),
        share=None,
    )
    trained, _ = train_run(data, None, settings)
    record = {
        **settings.for_record(),
        "n_vars": data.values.n_vars,
        "n_counts": trained.n_counts,
        "conditions": conditions,
    }
    return trained, record


def predicted_by(trained, record, cells, target, condition=None, seed=0) -> dict:
    torch.manual_seed(seed)
    return predictions_by_name(
        predictions_of_model(trained, record["conditions"], condition, cells, target)
    )


def reconstructed(trained, values) -> np.ndarray:
    """What a model without noise makes of cells, in their own units."""
    with torch.no_grad():
        x = trained.model.decode(
            trained.encode(torch.from_numpy(np.asarray(values, dtype=np.float32))).mean
        )
        return trained.normalised(x, torch.tensor(1.0)).numpy()


def latent_of(trained, profile) -> np.ndarray:
    """The mean latent (L,) of a cell, which in a linear latent is that of cells with this mean."""
    with torch.no_grad():
        return trained.encode(torch.from_numpy(profile[None])).mean[0].numpy()


LINEAR = [{}, {"scale": True}, {"n_pcs": 12}, {"scale": True, "n_pcs": 12}]


@pytest.mark.parametrize(
    "input", LINEAR, ids=["values", "z-scores", "components", "components of z-scores"]
)
def test_shifts_in_a_linear_latent_are_the_shifts_of_genes_as_far_as_the_latent_holds_them(
    cells, input
):
    trained, record = trained_on(cells, "pca", latent_dim=3, input=input)
    target = only_target(cells)
    control, known = cells.dense(target.control), cells.known_profiles(target)
    predicted = predicted_by(trained, record, cells, target)
    assert list(predicted) == ARITHMETIC
    response = known.treated - known.control
    for name, weights in WEIGHTS.items():
        shift = weights(control.mean(axis=0), known) @ response
        found = predicted[f"latent_{name}_shift"]
        np.testing.assert_allclose(
            found.expected, reconstructed(trained, control + shift), atol=1e-4
        )
        assert np.array_equal(found.drawn, found.expected)
    of_types = MeanProfiles(
        *(np.stack([latent_of(trained, mean) for mean in means]) for means in known)
    )
    shift = similarity_weights(latent_of(trained, control.mean(axis=0)), of_types) @ response
    kriged = predicted["latent_kriging_shift"]
    np.testing.assert_allclose(kriged.expected, reconstructed(trained, control + shift), atol=1e-4)
    shift = similarity_weights(control.mean(axis=0), known) @ response
    residual = predicted["latent_similarity_residual"]
    change = reconstructed(trained, control + shift) - reconstructed(trained, control)
    np.testing.assert_allclose(residual.expected, control + change, atol=1e-4)
    assert np.array_equal(residual.drawn, residual.expected)
    assert np.abs(change - shift).max() > 0.1  # the latent does not hold it all


def test_the_linear_shift_is_projected_on_the_components(cells):
    trained, record = trained_on(cells, "pca", latent_dim=3)
    target = only_target(cells)
    known = cells.known_profiles(target)
    components = trained.model.components.numpy()
    projected = (known.treated - known.control).mean(axis=0) @ components.T @ components
    found = predicted_by(trained, record, cells, target)["latent_mean_shift"].expected
    np.testing.assert_allclose(
        found - reconstructed(trained, cells.dense(target.control)),
        np.tile(projected, (120, 1)),
        atol=1e-4,
    )


def twice_the_mean(model, seen, condition=None) -> Latents:
    """In the place of the draws of a closed-form model, which has none."""
    z = (seen - model.mean) @ model.components.T
    return Latents(z, 2 * z)


def test_scgen_weighs_types_equally_and_counts_the_type_asked_for_among_the_control_cells(
    monkeypatch,
):
    monkeypatch.setattr(pca.Model, "encode", twice_the_mean)
    trained = ModelWithInput("pca", {"latent_dim": 3}, Input(G), None, [])
    trained.model.components.copy_(
        torch.linalg.qr(torch.randn(G, 3, generator=torch.manual_seed(1)))[0].T
    )
    shifts = []
    for sizes in ({"a": 6, "b": 15, "c": 11, "d": 30}, {"a": 30, "b": 30, "c": 30, "d": 30}):
        cells, profiles = constant(sizes)
        target = only_target(cells)
        control = cells.dense(target.control)
        shift = profiles.treated[[0, 2, 3]].mean(axis=0) - profiles.control.mean(axis=0)
        predicted = predicted_by(trained, {"conditions": []}, cells, target)
        np.testing.assert_allclose(
            predicted["scgen"].expected, 2 * reconstructed(trained, control + shift), atol=1e-4
        )
        assert (
            np.abs(predicted["scgen"].expected - 2 * predicted["latent_mean_shift"].expected).max()
            > 0.1
        )
        shifts.append(predicted["scgen"].expected[0])
    np.testing.assert_allclose(*shifts, atol=1e-4)


def test_scgen_draws_its_latents_and_the_other_shifts_do_not(cells):
    trained, record = trained_on(cells, "vae", latent_dim=3)
    target = only_target(cells)
    first, again, other = (
        predicted_by(trained, record, cells, target, seed=seed) for seed in (0, 0, 1)
    )
    for name in ARITHMETIC:
        assert np.array_equal(first[name].expected, again[name].expected), name
        assert np.array_equal(first[name].drawn, again[name].drawn), name
        assert np.array_equal(first[name].expected, other[name].expected) == (name != "scgen"), name
    residual = first["latent_similarity_residual"]
    assert np.array_equal(residual.drawn, residual.expected)
    noise = first["latent_mean_shift"].drawn - first["latent_mean_shift"].expected
    assert noise.var() == pytest.approx(0.5, rel=0.1)  # that of the squared error as a likelihood


def test_predictions_of_counts_are_logarithms_with_the_totals_of_the_control_cells(cells):
    trained, record = trained_on(cells, "vae", latent_dim=3, likelihood="nb")
    assert trained.n_counts == G
    target = only_target(cells)
    control = cells.dense(target.control)
    totals = np.expm1(control).sum(axis=1)
    assert totals.max() > 1.2 * totals.min()
    predicted = predicted_by(trained, record, cells, target)
    assert list(predicted) == ARITHMETIC
    residual = predicted.pop("latent_similarity_residual").expected
    assert np.abs(residual - control).max() < 1
    for name, prediction in predicted.items():
        for x in (prediction.expected, prediction.drawn):
            np.testing.assert_allclose(np.expm1(x).sum(axis=1), totals, rtol=1e-4, err_msg=name)
        assert (prediction.drawn == 0).any()
        assert prediction.expected.min() > 0


@pytest.mark.parametrize("likelihood", ["mse", "nb"])
@pytest.mark.parametrize("family", FLIPS)
def test_flips_go_from_control_to_the_treatment_by_every_path_of_the_family(family, likelihood):
    """Conditions are numbered by name, so the control stands between two treatments."""
    cells = draw({"a": 20, "b": 14}, treatments=("stim", "aim"))
    trained, record = trained_on(
        cells, family, latent_dim=3, likelihood=likelihood, input={"scale": True}
    )
    assert record["conditions"] == ["aim", "ctrl", "stim"]
    for (condition, _), target in targets_of(cells).items():
        predicted = predicted_by(trained, record, cells, target, "condition")
        assert list(predicted) == FLIPS[family]
        for name, prediction in predicted.items():
            assert prediction.expected.shape == prediction.drawn.shape == (14, G)
            assert np.isfinite(prediction.drawn).all()
            assert not np.array_equal(prediction.drawn, prediction.expected), name
        control = torch.from_numpy(cells.dense(target.control))
        before, after = (
            torch.eye(3)[[record["conditions"].index(c)] * 14] for c in ("ctrl", condition)
        )
        path = {"path": "z"} if family == "cgmvae" else {}
        flipped = trained.model.flip(trained.input(control), before, after, **path)
        flipped = trained.normalised(flipped, control.expm1().sum(1, keepdim=True)).numpy()
        np.testing.assert_allclose(
            predicted["flip_z" if path else "flip"].expected, flipped, atol=1e-5
        )


@pytest.mark.parametrize(
    ("family", "condition"),
    [("pca", None), ("vae", None), ("cvae", "condition"), ("cgmvae", "condition")],
)
def test_predictions_of_models_see_nothing_of_cells_held_out(partly, family, condition):
    partly, held_out = partly
    trained, record = trained_on(partly, family, latent_dim=3)
    target = targets_of(partly)["stim", "b"]
    changed = with_values(partly, held_out, 99)
    before, after = (predicted_by(trained, record, c, target, condition) for c in (partly, changed))
    for name, prediction in before.items():
        assert np.array_equal(prediction.expected, after[name].expected), name
        assert np.array_equal(prediction.drawn, after[name].drawn), name


def test_models_that_can_predict_nothing_say_why(cells, in_sample):
    trained, record = trained_on(cells, "pca", latent_dim=3)
    target = only_target(cells)
    with pytest.raises(
        TrainingError,
        match="sees no condition, and in sample the responses of other types are no prediction",
    ):
        predicted_by(trained, record, in_sample, target)
    for told in ("cell_type", "batch"):
        with pytest.raises(TrainingError, match=f"sees the {told} of cells, not their condition"):
            predicted_by(trained, record, cells, target, told)


def test_the_ceiling_has_a_ranking_of_its_own_and_leaves_that_of_others(cells, baselines):
    markers, table, _ = baselines
    control = cells.dense(only_target(cells).control)
    alone = score_targets(
        cells, markers, lambda t: [(Prediction("no_change", control, control), t)], 0
    ).scores
    beside = table[table["method"] == "no_change"]
    assert beside["value"].tolist() == alone["value"].tolist()


def test_in_sample_the_ceiling_is_what_was_trained_on(cells):
    split = np.where(np.arange(len(cells.obs)) % 3 == 0, "held_out", "train")
    partly = replace(cells, obs=cells.obs.assign(split=pd.Categorical(split)), held_out=False)
    for target, _ in partly.targets():
        (ceiling, compared), (_, unchanged) = predictions_without_model(partly, target, 0)
        assert compared is target is unchanged
        seen = partly.rows(target.cell_type, target.condition, "train")
        np.testing.assert_array_equal(ceiling.expected, partly.dense(seen))


def test_a_prediction_that_is_not_finite_is_absent_and_the_others_are_scored(cells, baselines):
    control = cells.dense(only_target(cells).control)

    def predict(target):
        yield Prediction("good", control, control), target
        yield Prediction("bad", control, np.full_like(control, np.nan)), target

    table, _, missing = score_targets(cells, baselines[0], predict, 0)
    assert set(table["method"]) == {"good"}
    assert ("bad, b, stim", "the prediction is not finite") in missing


def test_a_model_that_sees_the_condition_predicts_in_sample(in_sample):
    trained, record = trained_on(in_sample, "cvae", latent_dim=3)
    target = targets_of(in_sample)["stim", "c"]
    assert list(predicted_by(trained, record, in_sample, target, "condition")) == ["flip"]


# ---- jobs


def test_jobs_score_every_seed_and_say_which_failed(cells, tmp_path, deterministic):
    adata = ad.AnnData(
        cells.x,
        obs=cells.obs.set_index(cells.obs.index.astype(str)),
        var=pd.DataFrame(index=cells.genes),
    )
    adata.uns["control"] = "ctrl"
    adata.write_h5ad(tmp_path / "data.h5ad")
    files = {"data": tmp_path / "data.h5ad"}
    output = {
        name: tmp_path / f"data_{name}.tsv" for name in ("markers", "scores", "responses", "absent")
    }
    params = {"dataset": "toy", "held_out": True, "threads": 1}
    perturb_data.main(job("perturb_data", files, output, params))
    baselines = read_table(output["scores"], "perturbation")
    assert set(baselines["method"]) == set(WITHOUT_MODEL)
    assert baselines[["seed", "model"]].isna().all(axis=None)
    real = read_table(output["responses"], "responses")
    assert list(real["method"].unique()) == ["control", "treated", *SHIFTS, "pca_shift"]
    assert real["seed"].isna().all()
    assert real.loc[real["score"].isna(), "method"].unique().tolist() == ["control"]
    trained, record = trained_on(cells, "pca", latent_dim=3)
    for seed in (0, 1, 2):
        lost = (trained, "") if seed != 1 else (None, "the loss is nan")
        save_run(
            lost[0],
            tmp_path / f"{seed}.safetensors",
            tmp_path / f"{seed}.json",
            record,
            lost[1],
            {},
        )
    for seeds in ([0, 1, 2], [1]):
        of_seeds = {
            "weights": [tmp_path / f"{seed}.safetensors" for seed in seeds],
            "runs": [tmp_path / f"{seed}.json" for seed in seeds],
        }
        of_model = files | {"markers": output["markers"], "baselines": output["scores"], **of_seeds}
        made = {name: tmp_path / f"{name}.tsv" for name in ("scores", "responses", "absent")}
        perturb.main(
            job(
                "perturb",
                of_model,
                made,
                params | {"seeds": seeds, "condition": None},
                {"model": "pca"},
            )
        )
        scores, responses, absent = (
            read_table(made[name], kind)
            for name, kind in (
                ("scores", "perturbation"),
                ("responses", "responses"),
                ("absent", "absent"),
            )
        )
        assert scores["seed"].unique().tolist() == [seed for seed in seeds if seed != 1]
        assert responses["seed"].unique().tolist() == [seed for seed in seeds if seed != 1][:1]
        assert absent.loc[absent["seed"] == 1, ["what", "reason"]].to_numpy().tolist() == [
            ["all", "the loss is nan"]
        ]
    assert set(absent["model"]) == {"pca"}
