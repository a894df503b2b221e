"""How well groups of cells are mixed in a latent."""

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.model_selection import StratifiedKFold

from sclatent.metrics.mixing import (
    NotApplicableError,
    group_auc,
    mixing,
    mixing_entropy,
    mixing_silhouette,
)

N = 400


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def labels():
    return np.repeat(["a", "b"], N // 2)


@pytest.fixture
def group():
    return np.tile(["control", "treated"], N // 2)


@pytest.fixture
def types(rng, labels):
    """A latent in which the types are apart and the groups are mixed."""
    return rng.normal(size=(N, 4)) + 10 * (labels == "b")[:, None]


def test_mixed_groups_score_one_and_cannot_be_told(types, group, labels):
    values, absent = mixing(types, group, labels)
    assert absent == {}
    assert values["mixing_silhouette"] > 0.95
    assert values["mixing_entropy"] > 0.9
    assert values["group_auc"] == pytest.approx(0.5, abs=0.1)


def test_groups_apart_score_nothing_and_are_told(types, group, labels):
    values, absent = mixing(types + 100 * (group == "treated")[:, None], group, labels)
    assert absent == {}
    assert values["mixing_silhouette"] < 0.05
    assert values["mixing_entropy"] == 0
    assert values["group_auc"] == 1


def test_types_that_only_one_group_has_are_left_to_the_silhouette(types, labels):
    """Groups that are the types are apart by every measure but within types, where there is nothing
    to mix.
    """
    values, absent = mixing(types, labels, labels)
    assert absent == {
        "mixing_silhouette": "no label has cells of two groups and two cells of one group"
    }
    assert (values["mixing_entropy"], values["group_auc"]) == (0, 1)


def test_silhouette_is_that_of_its_definition(rng):
    latent, group = rng.normal(size=(30, 2)), rng.choice(list("xyz"), 30)
    labels = rng.choice(list("abc"), 30)
    group[labels == "c"] = "x"
    distance = np.linalg.norm(latent[:, None] - latent, axis=2)

    def silhouette(i, cells):
        mean = {
            g: distance[i, [j for j in cells if group[j] == g and j != i]].mean()
            for g in set(group[cells])
        }
        near = mean.pop(group[i])
        return (min(mean.values()) - near) / max(near, min(mean.values()))

    means = []
    for label in "ab":
        cells = np.flatnonzero(labels == label)
        means.append(np.mean([1 - abs(silhouette(i, cells)) for i in cells]))
    assert mixing_silhouette(latent, group, labels, seed=0) == pytest.approx(np.mean(means))


def test_entropy_is_that_of_its_definition(rng):
    latent, group = rng.normal(size=(40, 2)), rng.choice(list("xyz"), 40, p=[0.6, 0.3, 0.1])
    distance = np.linalg.norm(latent[:, None] - latent, axis=2)
    np.fill_diagonal(distance, np.inf)

    def entropy(groups):
        shares = np.unique(groups, return_counts=True)[1] / len(groups)
        return -(shares * np.log(shares)).sum()

    expected = np.mean([entropy(group[row.argsort()[:15]]) for row in distance]) / entropy(group)
    assert mixing_entropy(latent, group) == pytest.approx(expected)


def test_auc_in_one_dimension_is_that_of_the_ranks(rng):
    group = np.repeat([0, 1], [60, 40])
    latent = rng.normal(size=(100, 1)) + 2 * group[:, None]
    areas = []
    for _, cells in StratifiedKFold(5, shuffle=True, random_state=0).split(latent, group):
        treated = group[cells] == 1
        n, m = treated.sum(), (~treated).sum()
        areas.append((rankdata(latent[cells, 0])[treated].sum() - n * (n + 1) / 2) / (n * m))
    assert group_auc(latent, group, seed=0) == pytest.approx(np.mean(areas))


def test_more_than_two_groups_are_told_one_from_the_rest(rng):
    group = np.repeat(["x", "y", "z"], 50)
    centres = {"x": (0, 0), "y": (9, 0), "z": (0, 9)}
    latent = rng.normal(size=(150, 2)) + [centres[g] for g in group]
    assert group_auc(latent, group, seed=0) == pytest.approx(1)
    # z alone is apart: its area is 1, those of x and y are about 0.75 (half of the rest is z).
    latent = rng.normal(size=(150, 2)) + [centres[g] if g == "z" else (0, 0) for g in group]
    assert group_auc(latent, group, seed=0) == pytest.approx((0.75 + 0.75 + 1) / 3, abs=0.06)


def test_a_dead_dimension_and_the_scale_of_others_do_not_matter(types, group):
    scaled = np.column_stack([types * [1e-3, 1, 1e3, 1], np.zeros(N)])
    assert group_auc(scaled, group, seed=0) == pytest.approx(
        group_auc(types, group, seed=0), abs=1e-3
    )


def test_in_a_dead_latent_groups_cannot_be_told(group, labels):
    dead = np.zeros((N, 3), dtype=np.float32)
    assert (mixing_silhouette(dead, group, labels, seed=0), group_auc(dead, group, seed=0)) == (
        1,
        0.5,
    )


def test_many_cells_are_drawn_and_repeat(rng):
    latent, group, labels = (
        rng.normal(size=(6000, 2)),
        rng.choice(list("xy"), 6000),
        rng.choice(list("ab"), 6000),
    )
    first = mixing_silhouette(latent, group, labels, seed=0)
    assert (
        first
        == mixing_silhouette(latent, group, labels, seed=0)
        != mixing_silhouette(latent, group, labels, seed=1)
    )
    assert group_auc(latent, group, seed=0) == group_auc(latent, group, seed=0)


@pytest.mark.parametrize(
    ("group", "reasons"),
    [
        (
            ["x"] * 40,
            {
                "mixing_silhouette": "no label has",
                "mixing_entropy": "one group",
                "group_auc": "one group",
            },
        ),
        (["x"] * 36 + ["y"] * 4, {"group_auc": "a group has fewer than 5 cells"}),
        (["x"] * 7 + ["y"] * 7, {"mixing_entropy": "no more than 15 cells"}),
        (
            ["x"],
            {
                "mixing_silhouette": "no label has",
                "mixing_entropy": "no more than 15",
                "group_auc": "one group",
            },
        ),
        (
            ["x", "y"],
            {
                "mixing_silhouette": "no label has",
                "mixing_entropy": "no more than 15",
                "group_auc": "fewer than 5",
            },
        ),
    ],
)
def test_what_does_not_apply_is_absent_with_its_reason(rng, group, reasons):
    values, absent = mixing(
        rng.normal(size=(len(group), 2)), np.array(group), np.array(["a"] * len(group))
    )
    assert absent.keys() == reasons.keys()
    assert all(reason in absent[name] for name, reason in reasons.items())
    assert values.keys() == {"mixing_silhouette", "mixing_entropy", "group_auc"} - reasons.keys()
    assert np.isfinite(list(values.values())).all()


def test_a_latent_that_is_not_a_number_is_an_error_and_no_absence(types, group, labels):
    types[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN") as raised:
        mixing(types, group, labels)
    assert not isinstance(raised.value, NotApplicableError)
