"""Cells drawn from models, for whom they were drawn, and how they score beside real ones."""

from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import job
from scipy import sparse

import generate
from sclatent.generation import scores as generation
from sclatent.generation.draw import N_DRAWN, draw, tag_components
from sclatent.generation.drawn import Drawn, as_matrix, no_cells
from sclatent.generation.scores import DrawnScore, RealCells, score_drawn
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.io.tables import as_kind, read_table, write_table
from sclatent.models.base import Generated
from sclatent.training.inputs import Input
from sclatent.training.model_with_input import ModelWithInput
from sclatent.training.saved import save_run

G = 20
TYPES = ["a", "b", "c"]
SMALL = {"latent_dim": 2, "encoder_hidden": [8], "decoder_hidden": [8]}
MIXTURE = {**SMALL, "n_components": 3}


def draw_real(cell_type, n, condition="ctrl", seed=0) -> np.ndarray:
    """Cells (n, G) of a type, whose genes go together in pairs; treated ones express the last four
    more.
    """
    rng = np.random.default_rng([seed, ord(cell_type), len(condition)])
    mean = np.random.default_rng(ord(cell_type)).uniform(2, 6, G)
    mean[-4:] += 3 * (condition == "stim")
    x = (
        mean
        + 0.5 * np.repeat(rng.normal(size=(n, G // 2)), 2, axis=1)
        + 0.2 * rng.normal(size=(n, G))
    )
    return x.astype(np.float32)


def real_of(sizes, conditions=("ctrl",), seed=0) -> RealCells:
    """Real cells, as many of a type in each condition as sizes say."""
    groups = [(t, c, n) for t, n in sizes.items() for c in conditions]
    x = np.concatenate([draw_real(t, n, c) for t, c, n in groups])
    obs = pd.DataFrame(
        [{"cell_type": t, "condition": c} for t, c, n in groups for _ in range(n)]
    ).apply(pd.Categorical)
    return RealCells(sparse.csr_matrix(x), obs, seed)


def drawn_of(groups) -> Drawn:
    """Drawn cells from (values, type, condition) of each group."""
    values, cell_type, condition = zip(*groups, strict=True)
    sizes = list(map(len, values))
    cells = np.concatenate(values)
    return Drawn(
        cells,
        cells,
        np.repeat(cell_type, sizes),
        np.repeat(condition, sizes),
        np.full(len(cells), "all"),
    )


def scored(drawn, real) -> tuple[pd.DataFrame, dict]:
    rows, missing = score_drawn(drawn, real)
    return pd.DataFrame(rows, columns=DrawnScore._fields).set_index(
        ["cell_type", "condition", "metric"]
    ).sort_index(), dict(missing)


@pytest.fixture(scope="module")
def real():
    return real_of(dict.fromkeys(TYPES, 120), ("ctrl", "stim"))


# ---- the components' names


def test_a_component_has_the_name_that_most_of_its_cells_have_and_none_without_cells():
    component = np.array([0, 0, 0, 2, 2, 2, 2, 4])
    labels = pd.Series(
        pd.Categorical(["x", "y", "x", "y", "z", "z", "z", "x"]), index=list("stuvwxyz")
    )
    responsibilities = 0.1 + np.eye(5)[component]
    assert tag_components(responsibilities, labels) == ["x", None, "z", None, "x"]


def test_components_that_share_a_name_keep_it():
    labels = pd.Series(pd.Categorical(["x", "x", "x"], categories=["w", "x"]))
    assert tag_components(np.eye(3)[[0, 1, 1]], labels) == ["x", "x", None]


# ---- drawing


def fake(n_components=0, n_conditions=0):
    """A model whose cells are the component and the condition that they were drawn for, and the
    total that they were given.

    What is expected of them is 100 more.
    """

    def generate(n, sample):
        assert sample
        drawn_for = torch.cartesian_prod(
            torch.arange(max(n_components, 1)), torch.arange(max(n_conditions, 1))
        ).repeat(n, 1)
        component, condition = drawn_for.unbind(1)
        x = drawn_for.float()
        return Generated(
            x, x + 100, component if n_components else None, condition if n_conditions else None
        )

    def normalised(x, total):
        return torch.cat([x, total.expand(len(x), 1)], dim=1)

    return SimpleNamespace(model=SimpleNamespace(generate=generate), normalised=normalised)


def sizes_of(drawn) -> dict:
    return (
        pd.Series(list(zip(drawn.cell_type, drawn.condition, strict=True))).value_counts().to_dict()
    )


def test_cells_of_components_without_a_name_are_drawn_and_not_scored(real):
    drawn = draw(fake(4), None, [], ["x", None, "y", "x"], 7.0)
    assert sizes_of(drawn.named()) == {("x", "all"): N_DRAWN // 2, ("y", "all"): N_DRAWN // 4}
    assert sizes_of(drawn) == {**sizes_of(drawn.named()), ("no type", "all"): N_DRAWN // 4}
    assert drawn.component.tolist() == drawn.values[:, 0].astype(int).astype(str).tolist()
    assert set(drawn.values[drawn.cell_type == "x", 0]) == {0, 3}
    assert set(drawn.values[drawn.cell_type == "y", 0]) == {2}
    assert set(drawn.values[:, 2]) == {7}
    assert set(drawn.expected[drawn.cell_type == "no type", 0]) == {101}
    typed = drawn_of([(draw_real("a", 60, seed=1), "a", "ctrl")])
    both = drawn_of(
        [(draw_real("b", 60), "no type", "ctrl"), (draw_real("a", 60, seed=1), "a", "ctrl")]
    )
    assert score_drawn(both, real) == score_drawn(typed, real)


def test_as_many_cells_are_drawn_of_each_component_and_condition():
    drawn = draw(fake(3, 2), "condition", ["stim", "ctrl"], ["x", "y", "z"], 1.0)
    assert set(sizes_of(drawn).values()) == {N_DRAWN // 6}
    assert len(sizes_of(drawn)) == 6
    assert set(drawn.values[drawn.condition == "stim", 1]) == {0}
    assert len(drawn.values) <= N_DRAWN
    assert len(draw(fake(3000), None, [], ["x"] * 3000, 1.0).values) == 3000


def test_cells_of_a_model_that_is_told_the_type_are_of_that_type():
    drawn = draw(fake(0, 3), "cell_type", ["b", "a", "c"], None, 1.0)
    assert sizes_of(drawn) == {(name, "all"): N_DRAWN // 3 for name in TYPES}
    for number, name in enumerate(["b", "a", "c"]):
        assert set(drawn.values[drawn.cell_type == name, 1]) == {number}


def test_cells_of_a_model_that_is_told_the_batch_are_of_any_type_and_condition():
    assert sizes_of(draw(fake(0, 4), "batch", ["1", "2", "3", "4"], None, 1.0)) == {
        ("all", "all"): N_DRAWN
    }
    named = draw(fake(2, 4), "batch", ["1", "2", "3", "4"], ["x", None], 1.0).named()
    assert sizes_of(named) == {("x", "all"): N_DRAWN // 2}


def test_cells_of_a_model_without_components_and_conditions_are_of_any():
    assert sizes_of(draw(fake(), None, [], None, 1.0)) == {("all", "all"): N_DRAWN}


@pytest.mark.parametrize(
    ("family", "conditions", "tags", "n_groups"),
    [
        ("vae", [], None, 1),
        ("vsc", [], None, 1),
        ("cvae", ["c", "s"], None, 2),
        ("gmvae", [], TYPES, 3),
        ("cgmvae", ["c", "s"], TYPES, 6),
    ],
)
def test_every_generative_family_draws_cells_for_each_of_its_groups(
    family, conditions, tags, n_groups
):
    torch.manual_seed(0)
    trained = ModelWithInput(family, MIXTURE if tags else SMALL, Input(G), None, conditions).eval()
    drawn = []
    for _ in range(2):
        torch.manual_seed(1)
        drawn.append(draw(trained, "condition" if conditions else None, conditions, tags, 1.0))
    first, again = drawn
    assert set(sizes_of(first).values()) == {N_DRAWN // n_groups}
    assert len(sizes_of(first)) == n_groups
    assert np.array_equal(first.values, again.values)
    assert first.values.shape == (len(first.cell_type), G)
    noiseless = trained.model.generate(2)
    assert torch.equal(noiseless.x, noiseless.expected)
    noise = first.values - first.expected  # of variance 1/2, in cells of equal latents
    assert np.std(noise) == pytest.approx(0.5**0.5, rel=0.02)
    assert abs(np.corrcoef(noise.ravel(), first.expected.ravel())[0, 1]) < 0.02
    assert set(first.component) == ({"0", "1", "2"} if tags else {"all"})


def test_values_are_in_the_units_of_the_data():
    torch.manual_seed(0)
    counting = ModelWithInput("vae", {**SMALL, "likelihood": "nb"}, Input(G), G, []).eval()
    values = draw(counting, None, [], None, 500.0).values
    np.testing.assert_allclose(np.expm1(values).sum(axis=1), 500, rtol=1e-4)
    scaled = Input(G, scale=True)
    scaled.mean.fill_(100)
    assert draw(
        ModelWithInput("vae", SMALL, scaled, None, []).eval(), None, [], None, 1.0
    ).values.mean() == pytest.approx(100, abs=1)


# ---- how they are kept


def test_drawn_cells_are_kept_with_what_is_expected_of_them(tmp_path):
    genes = pd.Index([f"g{i}" for i in range(3)])
    drawn = draw(fake(2, 2), "condition", ["c", "s"], ["x", None], 7.0)
    write_matrix(as_matrix(drawn, genes, 3), tmp_path / "drawn.h5ad", "drawn", {})
    kept = read_matrix(tmp_path / "drawn.h5ad")
    np.testing.assert_array_equal(kept.X, drawn.values)
    np.testing.assert_array_equal(kept.layers["expected"], drawn.expected)
    assert kept.var_names.equals(genes)
    assert kept.uns["seed"] == 3
    assert "absent" not in kept.uns
    groups = kept.obs.drop_duplicates().astype(str).to_numpy().tolist()
    assert groups == [
        ["x", "c", "0"],
        ["x", "s", "0"],
        ["no type", "c", "1"],
        ["no type", "s", "1"],
    ]


def test_where_no_cells_are_kept_there_is_the_reason(tmp_path):
    genes = pd.Index(["g0", "g1", "g2"])
    drawn = draw(fake(), None, [], None, 7.0)
    drawn.values[5, 1] = np.inf
    for adata, reason in [
        (no_cells(genes, "every seed failed"), "every seed failed"),
        (as_matrix(drawn, genes, 3), "the model draws values that are not finite"),
    ]:
        write_matrix(adata, tmp_path / "drawn.h5ad", "drawn", {})
        kept = read_matrix(tmp_path / "drawn.h5ad")
        assert kept.shape == kept.layers["expected"].shape == (0, 3)
        assert kept.uns["absent"] == reason
        assert "seed" not in kept.uns


# ---- scores


def test_cells_drawn_like_the_real_ones_score_near_the_ceiling(real):
    drawn = drawn_of((draw_real(t, 120, c, seed=1), t, c) for t in TYPES for c in ("ctrl", "stim"))
    table, missing = scored(drawn, real)
    assert missing == {}
    assert len(table) == 6 * 4 + 1
    assert table["value"]["all", "all", "types_drawn"] == 1
    for cell_type, condition in zip(drawn.cell_type, drawn.condition, strict=True):
        found = table.loc[cell_type, condition]
        assert found.loc["two_sample_auc", "value"] == pytest.approx(0.5, abs=0.12)
        assert found.loc["two_sample_auc", "ceiling"] == pytest.approx(0.5, abs=0.15)
        assert found.loc["right_label", ["value", "ceiling"]].tolist() == [1, 1]
        assert abs(found.loc["e_distance", "value"]) < 0.2
        assert abs(found.loc["mmd", "value"]) < 0.05


def test_cells_of_another_type_are_told_and_have_the_wrong_label(real):
    table, _ = scored(drawn_of([(draw_real("b", 120, seed=1), "a", "ctrl")]), real)
    found = table.loc["a", "ctrl"]["value"]
    assert found["right_label"] == 0
    assert found["two_sample_auc"] > 0.99
    assert found["e_distance"] > 10
    assert found["mmd"] > 0.2


def test_treated_cells_are_told_from_control_cells_though_their_type_is_right(real):
    table, _ = scored(drawn_of([(draw_real("a", 120, "stim", seed=1), "a", "ctrl")]), real)
    assert table.loc["a", "ctrl"].loc["right_label", "value"] > 0.95
    assert table.loc["a", "ctrl"].loc["two_sample_auc", "value"] > 0.99


def test_the_floor_is_below_the_ceiling(real):
    table, _ = scored(drawn_of((draw_real(t, 60, seed=1), t, "ctrl") for t in TYPES), real)
    worse = {"e_distance": 1, "mmd": 1, "two_sample_auc": 1, "right_label": -1}
    for (_, _, metric), row in table.drop(index="all").iterrows():
        assert worse[metric] * row["floor"] > worse[metric] * row["ceiling"], metric
    assert (table.xs("right_label", level="metric")["floor"] < 0.7).all()


def test_the_floor_loses_what_goes_together_and_keeps_each_gene():
    real = real_of({"a": 400, "b": 400})
    rows = real.group("a", "all")
    (floor, _), _ = real.bounds(rows)
    whole = real.x.toarray()
    assert (
        abs(np.corrcoef(floor[:, 0], floor[:, 1])[0, 1])
        < 0.2
        < np.corrcoef(whole[:, 0], whole[:, 1])[0, 1]
    )
    np.testing.assert_allclose(floor.mean(axis=0), whole.mean(axis=0), atol=0.3)
    assert set(floor[:, 0]) <= set(whole[:, 0])


def test_the_ceiling_is_one_half_of_the_real_cells_compared_with_the_other(real):
    rows = real.group("b", "stim")
    (floor, other), (half, compared) = real.bounds(rows)
    assert other is compared
    assert len(floor) == len(half) == len(compared) == 60
    assert sorted(np.concatenate([half, compared]).tolist()) == sorted(
        real.x[rows].toarray().tolist()
    )


def test_bounds_and_labels_are_those_of_the_seed(real):
    drawn = drawn_of([(draw_real("a", 60, seed=1), "a", "ctrl")])
    assert score_drawn(drawn, real) == score_drawn(drawn, RealCells(real.x, real.obs, 0))
    assert score_drawn(drawn, real) != score_drawn(drawn, RealCells(real.x, real.obs, 1))


def test_groups_of_too_few_cells_are_absent_with_the_reason():
    real = real_of({"a": 60, "b": 9, "c": 10})
    groups = [("a", 4), ("b", 60), ("c", 5)]
    table, missing = scored(drawn_of((draw_real(t, n, seed=1), t, "ctrl") for t, n in groups), real)
    assert missing == {
        "a, ctrl": "4 cells are drawn and 60 are real, too few",
        "b, ctrl": "60 cells are drawn and 9 are real, too few",
        "c, ctrl: two_sample_auc": "5 cells are fewer than the 9 components",
    }
    assert set(table.index.get_level_values("cell_type")) == {"c", "all"}
    assert table["value"]["all", "all", "types_drawn"] == 1  # asked for, if too few to compare
    _, missing = scored(drawn_of([(draw_real("a", 60), "a", "drug")]), real)
    assert missing == {"a, drug": "60 cells are drawn and 0 are real, too few"}


def test_cells_of_no_type_have_no_right_label(real):
    every_type = np.concatenate([draw_real(t, 60, seed=1) for t in TYPES])
    table, missing = scored(drawn_of([(every_type, "all", "ctrl")]), real)
    assert missing == {"right_label": "cells are drawn for no type"}
    assert table.index.tolist() == [
        ("all", "ctrl", metric) for metric in ("e_distance", "mmd", "two_sample_auc")
    ]
    assert table["value"]["all", "ctrl", "two_sample_auc"] == pytest.approx(0.5, abs=0.12)
    assert len(real.group("all", "ctrl")) == 360
    assert len(real.group("all", "all")) == 720


def test_right_label_of_real_cells_is_that_of_a_classifier_that_has_not_seen_them():
    """Labels without any relation to the cells are learnt by heart, but not told of other cells."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"cell_type": pd.Categorical(rng.permutation(np.repeat(["x", "y"], 30)))})
    x = rng.normal(size=(60, 100)).astype(np.float32)
    real = RealCells(sparse.csr_matrix(x), obs, 0)
    rows = real.group("x", "all")
    assert real.right_label(x[rows], "x") > 0.9
    assert 0.2 < real.right_label_of_real(rows, "x") < 0.8


@pytest.mark.parametrize("sizes", [{"a": 60}, {"a": 60, "b": 1}, {"a": 60, "b": 4}])
def test_there_is_no_right_label_where_there_is_one_type_to_learn(sizes, recwarn):
    table, missing = scored(drawn_of([(draw_real("a", 60, seed=1), "a", "ctrl")]), real_of(sizes))
    assert missing == {
        "a, ctrl: right_label": "there are fewer than 5 real cells of the type, or of any "
        "other, to learn from"
    }
    assert set(table.index.get_level_values("metric")) == {
        "e_distance",
        "mmd",
        "two_sample_auc",
        "types_drawn",
    }
    assert not recwarn


def test_a_rare_type_that_the_classifier_could_not_learn_has_no_right_label(monkeypatch):
    monkeypatch.setattr(generation, "N_CLASSIFIED", 50)
    real = real_of({"a": 100, "b": 100, "c": 10})
    assert real.types == {"a", "b"}
    table, missing = scored(drawn_of((draw_real(t, 60, seed=1), t, "ctrl") for t in TYPES), real)
    assert list(missing) == ["c, ctrl: right_label"]
    assert table["value"].xs("right_label", level="metric").to_dict() == {
        ("a", "ctrl"): 1,
        ("b", "ctrl"): 1,
    }
    unseen = np.setdiff1d(real.group("a", "all"), real.rows)
    assert real.right_label_of_real(unseen, "a") is None


def test_scores_keep_their_contract(real, tmp_path):
    rows, _ = score_drawn(
        drawn_of([(draw_real("a", 60), "a", "ctrl"), (draw_real("b", 60), "all", "all")]), real
    )
    table = as_kind(
        pd.DataFrame(rows, columns=DrawnScore._fields).assign(dataset="toy", model="vae", seed=0),
        "generation",
    )
    write_table(table, tmp_path / "generation.tsv", "generation", {})
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "generation.tsv", "generation"), table, check_dtype=False
    )


# ---- the job


@pytest.mark.usefixtures("deterministic")
def test_the_job_scores_every_seed_says_which_failed_and_keeps_the_cells_of_the_best(
    real, tmp_path
):
    """Components are named by training cells: those held out would outvote them. Counts are drawn
    with the median total.
    """
    obs = real.obs.set_index(real.obs.index.astype(str))
    component = obs["cell_type"].cat.codes.to_numpy().copy()
    held_out = np.arange(len(obs)) % 3 > 0
    component[held_out] = (component[held_out] + 1) % 3
    obs["split"] = pd.Categorical(np.where(held_out, "held_out", "train"))
    ad.AnnData(real.x, obs=obs).write_h5ad(tmp_path / "data.h5ad")
    latents = ad.AnnData(obs=obs)
    for seed in (0, 2):
        latents.obsm[f"responsibilities_seed_{seed}"] = np.eye(3, dtype=np.float32)[component]
    latents.uns |= {"failed": '{"1": "the loss is nan"}', "loss": '{"0": 9.0, "2": 8.0}'}
    latents.write_h5ad(tmp_path / "latents.h5ad")
    torch.manual_seed(0)
    trained = ModelWithInput("gmvae", MIXTURE, Input(G), None, []).eval()
    record = {
        "family": "gmvae",
        "hyperparameters": MIXTURE,
        "input": {},
        "n_vars": G,
        "n_counts": None,
        "conditions": [],
    }
    for seed, (model, reason) in enumerate(
        [(trained, ""), (None, "the loss is nan"), (trained, "")]
    ):
        save_run(
            model, tmp_path / f"{seed}.safetensors", tmp_path / f"{seed}.json", record, reason, {}
        )
    asked = []

    def watched(trained, told, conditions, tags, total):
        asked.append((tags, total))
        drawn.append(draw(trained, told, conditions, tags, total))
        return drawn[-1]

    for seeds, incomparable in [([0, 1, 2], ""), ([1], ""), ([0, 1, 2], "other units")]:
        drawn = []
        files = {
            "data": tmp_path / "data.h5ad",
            "latents": tmp_path / "latents.h5ad",
            "weights": [tmp_path / f"{seed}.safetensors" for seed in seeds],
            "runs": [tmp_path / f"{seed}.json" for seed in seeds],
        }
        output = {
            "scores": tmp_path / "s.tsv",
            "absent": tmp_path / "a.tsv",
            "drawn": tmp_path / "d.h5ad",
        }
        params = {"seeds": seeds, "condition": None, "incomparable": incomparable, "threads": 1}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(generate, "draw", watched)
            generate.main(
                job("generate", files, output, params, {"dataset": "toy", "model": "gmvae"})
            )
        scores, absent = (
            read_table(tmp_path / "s.tsv", "generation"),
            read_table(tmp_path / "a.tsv", "absent"),
        )
        kept = read_matrix(tmp_path / "d.h5ad")
        if drawn:
            assert scores["seed"].unique().tolist() == [0, 2]
            assert kept.uns["seed"] == 2
            np.testing.assert_array_equal(kept.X, drawn[1].values)
            assert not np.array_equal(drawn[0].values, drawn[1].values)
        else:
            assert scores.empty
            assert kept.n_obs == 0
            assert kept.uns["absent"] == (incomparable or "every seed failed")
        if not incomparable:
            assert absent[["seed", "what", "reason"]].to_numpy().tolist() == [
                [1, "all", "the loss is nan"]
            ]
    totals = np.expm1(real.x.toarray()).sum(axis=1)[~held_out]
    assert asked == [(TYPES, pytest.approx(np.median(totals), rel=1e-5))] * 2
