import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from scipy.stats import linregress, pearsonr
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel

from sclatent.metrics import expression as response_metrics
from sclatent.metrics.distances import (
    energy_distance,
    mmd,
    subsample,
    two_sample_auc,
)
from sclatent.metrics.expression import (
    GENE_METRICS,
    marker_overlap,
    measure,
    measure_cells,
    rank_genes,
)
from sclatent.metrics.principal_components import principal_space

G = 60
ALL = {"all": np.arange(G)}


def draw_cells(rates, n, seed):
    """Log-normalised cells (n, G) with zeros and ties, of Poisson counts."""
    counts = np.random.default_rng(seed).poisson(rates, (n, len(rates)))
    return np.log1p(counts).astype(np.float32)


@pytest.fixture(scope="module")
def cells():
    """Control cells, treated cells, in which genes 0 to 9 rise and 10 to 14 fall, and as many
    others like the treated.
    """
    rates = np.random.default_rng(0).lognormal(0, 1.2, G)
    changed = rates * np.r_[np.full(10, 4.0), np.full(5, 0.2), np.ones(G - 15)]
    return draw_cells(rates, 150, 1), draw_cells(changed, 120, 2), draw_cells(changed, 120, 3)


@pytest.fixture(scope="module")
def gaussians():
    rng = np.random.default_rng(5)
    return rng.normal(size=(70, 4)), rng.normal(loc=0.5, scale=1.5, size=(45, 4))


def values(found):
    return {(measured.metric, measured.subset): measured.value for measured in found[0]}


def in_all(found):
    return {measured.metric: measured.value for measured in found[0] if measured.subset == "all"}


def reasons(found):
    return {absent.metric: absent.reason for absent in found[1]}


# Distances


def test_energy_distance_equals_the_means_over_all_pairs(gaussians):
    x, y = gaussians
    n, m = len(x), len(y)
    between = cdist(x, y, "sqeuclidean").mean()
    within = cdist(x, x, "sqeuclidean").sum() / (n * (n - 1)) + cdist(y, y, "sqeuclidean").sum() / (
        m * (m - 1)
    )
    assert energy_distance(x, y) == pytest.approx(2 * between - within, rel=1e-10)
    assert energy_distance(y, x) == pytest.approx(energy_distance(x, y), rel=1e-10)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.7, 1.0), (0.0, 3.0)])
def test_energy_distance_of_gaussians_is_twice_the_squared_distance_of_their_means(shift, scale):
    rng = np.random.default_rng(0)
    found = [
        energy_distance(rng.normal(size=(30, 5)), rng.normal(shift, scale, (20, 5)))
        for _ in range(400)
    ]
    assert abs(np.mean(found) - 2 * 5 * shift**2) < 3 * np.std(found) / np.sqrt(400)
    assert (min(found) < 0) == (shift == 0)


def test_mmd_equals_the_sum_over_all_pairs(gaussians):
    x, y = gaussians
    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    median = np.median(cdist(pooled, pooled)[np.triu_indices(n + m, 1)])

    def kernel(a, b):
        return np.mean(
            [rbf_kernel(a, b, gamma=1 / (2 * s * median**2)) for s in (0.1, 1, 10)], axis=0
        )

    within = sum((kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)) for a in (x, y))
    assert mmd(x, y) == pytest.approx(within - 2 * kernel(x, y).mean(), rel=1e-10)
    assert mmd(10 * x, 10 * y) == pytest.approx(mmd(x, y), rel=1e-10)


def test_mmd_is_nil_for_equal_distributions_and_sees_spread():
    rng = np.random.default_rng(0)
    equal = [mmd(rng.normal(size=(30, 3)), rng.normal(size=(40, 3))) for _ in range(200)]
    assert abs(np.mean(equal)) < 3 * np.std(equal) / np.sqrt(200)
    assert min(equal) < 0
    assert mmd(rng.normal(size=(100, 3)), rng.normal(scale=3, size=(100, 3))) > 10 * np.std(equal)


def test_auc_of_a_classifier_is_half_for_equal_samples_and_one_for_far_ones():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 10)), rng.normal(size=(900, 10))
    assert two_sample_auc(x, y, seed=0) == pytest.approx(0.5, abs=0.06)
    assert two_sample_auc(x, y + 10, seed=0) == 1.0
    assert 0.6 < two_sample_auc(x, y + 0.2, seed=0) < 0.9
    assert (
        two_sample_auc(x, y, seed=0) == two_sample_auc(x, y, seed=0) != two_sample_auc(x, y, seed=1)
    )
    assert two_sample_auc(x, x, seed=0) < 0.5
    assert two_sample_auc(x, np.concatenate([y[:400], y[400:] + 10]), seed=0) > 0.7


def test_auc_does_not_see_the_scale_of_a_feature():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.4, size=(60, 3))
    assert two_sample_auc(x * [1, 1e4, 1e-4], y * [1, 1e4, 1e-4], 0) == pytest.approx(
        two_sample_auc(x, y, 0), abs=1e-6
    )


def test_distances_need_cells():
    one, four = np.zeros((1, 2)), np.random.default_rng(0).normal(size=(4, 2))
    for distance in (energy_distance, mmd):
        with pytest.raises(ValueError, match="fewer than 2"):
            distance(one, four)
    with pytest.raises(ValueError, match="fewer than 5"):
        two_sample_auc(four, np.zeros((9, 2)), 0)
    with pytest.raises(ValueError, match="identical"):
        mmd(np.ones((6, 2)), np.ones((6, 2)))


def test_subsample_draws_different_cells():
    cells = np.arange(20).reshape(20, 1)
    drawn = subsample(cells, 8, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 8
    assert subsample(cells, 20, np.random.default_rng(0)) is cells


def test_principal_space_is_that_of_the_real_cells(cells):
    _, treated, _ = cells
    space = principal_space(treated, n_pcs=5)
    deviations = treated - treated.mean(axis=0)
    _, _, axes = np.linalg.svd(deviations, full_matrices=False)
    np.testing.assert_allclose(np.abs(space.components_ @ axes[:5].T), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(space.transform(treated).mean(axis=0), 0, atol=1e-4)
    assert principal_space(treated[:, :16]).n_components_ == 15
    assert principal_space(treated[:7]).n_components_ == 6


def test_principal_space_of_cells_without_full_rank_is_the_same_twice_and_has_no_empty_component(
    cells,
):
    _, treated, _ = cells
    flat = treated[:, :40].copy()
    flat[:, 12:] = flat[:, :28] @ np.ones(
        (28, 28), dtype=flat.dtype
    )  # features that say nothing new
    first, second = principal_space(flat), principal_space(flat)
    assert first.n_components_ == np.linalg.matrix_rank(flat - flat.mean(axis=0)) < 39
    np.testing.assert_array_equal(first.components_, second.components_)
    assert first.singular_values_.min() > 1e-3


# Ranking


@pytest.mark.parametrize("reference", ["control", "rest"])
def test_genes_rank_as_scanpy_ranks_them(cells, reference):
    control, treated, _ = cells
    names = np.array([f"g{i}" for i in range(G)])
    obs = pd.DataFrame(
        {"condition": pd.Categorical(["control"] * len(control) + ["treated"] * len(treated))}
    )
    obs.index = obs.index.astype(str)
    adata = ad.AnnData(np.concatenate([control, treated]), obs=obs, var=pd.DataFrame(index=names))
    sc.tl.rank_genes_groups(
        adata, "condition", groups=["treated"], reference=reference, method="wilcoxon"
    )
    theirs = adata.uns["rank_genes_groups"]
    ours = rank_genes(treated, control)
    np.testing.assert_array_equal(
        ours.scores[ours.order].astype(np.float32), theirs["scores"]["treated"]
    )
    scores, counts = np.unique(ours.scores, return_counts=True)
    alone = np.isin(ours.scores[ours.order], scores[counts == 1])
    assert alone.mean() > 0.9
    np.testing.assert_array_equal(names[ours.order][alone], theirs["names"]["treated"][alone])
    assert set(ours.order[:10]) == set(range(10))


@pytest.mark.parametrize(("n", "m", "limit"), [(886, 886, 36.445), (886, 1114, 38.468)])
def test_scores_saturate_where_noise_is_missing(n, m, limit):
    control = np.random.default_rng(0).random((m, 3), dtype=np.float32)
    small, large = np.full((n, 3), 2.0, np.float32), np.full((n, 3), 50.0, np.float32)
    for treated in (small, large):
        ranked = rank_genes(treated, control)
        np.testing.assert_allclose(ranked.scores, limit, atol=5e-4)


def test_genes_of_equal_score_keep_their_order():
    rises = np.arange(300) % 3 == 0
    ranked = rank_genes(np.tile(rises, (5, 1)).astype(np.float32), np.zeros((4, 300), np.float32))
    np.testing.assert_array_equal(
        ranked.order, np.concatenate([np.flatnonzero(rises), np.flatnonzero(~rises)])
    )


def test_genes_are_ranked_alike_in_blocks_of_any_size(cells, monkeypatch):
    control, treated, _ = cells
    whole = rank_genes(treated, control)
    monkeypatch.setattr(response_metrics, "VALUES_PER_BLOCK", 7 * (len(control) + len(treated)))
    np.testing.assert_array_equal(rank_genes(treated, control).scores, whole.scores)
    with pytest.raises(ValueError, match="no cells"):
        rank_genes(treated[:0], control)


def test_marker_overlap_counts_the_markers_that_are_found(cells):
    control, treated, like_treated = cells
    ranking = rank_genes(treated, control).order
    same, absent = marker_overlap(rank_genes(treated, control).scores, ranking)
    assert [(measured.subset, measured.value, measured.sd) for measured in same] == [
        ("top_10", 1.0, None),
        ("top_20", 1.0, None),
    ]
    assert [(a.metric, a.subset, a.reason) for a in absent] == [
        ("marker_overlap", "top_100", "there are only 60 genes")
    ]
    assert (
        marker_overlap(rank_genes(like_treated, control).scores, ranking, sizes=(10,))[0][0].value
        == 1.0
    )
    half = treated.copy()
    half[:, ranking[:5]] = 0
    assert marker_overlap(rank_genes(half, control).scores, ranking, sizes=(10,))[0][0].value == 0.5
    assert (
        marker_overlap(rank_genes(treated, control).scores, ranking[::-1], sizes=(10,))[0][0].value
        == 0.0
    )


def test_marker_overlap_is_that_of_the_first_genes_of_both_rankings(cells):
    control, treated, like_treated = cells
    theirs, ours = rank_genes(treated, control).order, rank_genes(like_treated, control).order
    for measured, n in zip(
        marker_overlap(rank_genes(like_treated, control).scores, theirs, (20, 30, 40))[0],
        (20, 30, 40),
        strict=True,
    ):
        assert measured.value == pytest.approx(len(set(theirs[:n]) & set(ours[:n])) / n)
        assert 0.4 < measured.value < 1


def test_genes_that_tie_for_the_last_places_count_by_chance(cells):
    control, treated, _ = cells
    ranking = rank_genes(treated, control).order
    overlaps, _ = marker_overlap(rank_genes(control, control).scores, ranking)
    assert [measured.value for measured in overlaps] == pytest.approx([10 / G, 20 / G])
    saturated = control.copy()
    saturated[:, ranking[:4]] += 90
    saturated[:, ranking[-4:]] += 90
    assert marker_overlap(rank_genes(saturated, control).scores, ranking, sizes=(4,))[0][
        0
    ].value == pytest.approx(0.5)


# Means, variances and changes


def test_metrics_equal_those_of_the_libraries(cells):
    control, treated, like_treated = cells
    predicted = 0.8 * like_treated[:100] + 0.1
    subsets = {"all": np.arange(G), "top_20": np.arange(20)[::-1].copy()}
    found = values(measure(predicted, control, treated, subsets, n_resamples=0))
    assert len(found) == len(GENE_METRICS) * 2
    for subset, genes in subsets.items():
        p, c, t = (x[:, genes].astype(np.float64) for x in (predicted, control, treated))
        line = linregress(p.mean(0), t.mean(0))
        p_change, t_change = p.mean(0) - c.mean(0), t.mean(0) - c.mean(0)
        p_variance, t_variance = p.var(0, ddof=1), t.var(0, ddof=1)
        expected = {
            "pearson_squared_mean": line.rvalue**2,
            "slope_mean": line.slope,
            "intercept_mean": line.intercept,
            "r2_mean": r2_score(t.mean(0), p.mean(0)),
            "mse_mean": mean_squared_error(t.mean(0), p.mean(0)),
            "pearson_squared_variance": linregress(p_variance, t_variance).rvalue ** 2,
            "r2_variance": r2_score(t_variance, p_variance),
            "variance_ratio": np.median(p_variance / t_variance),
            "pearson_change": pearsonr(p_change, t_change).statistic,
            "cosine_change": cosine_similarity([p_change], [t_change])[0, 0],
            "sign_agreement": np.mean((p_change > 0) == (t_change > 0)),
        }
        assert {metric: found[metric, subset] for metric in GENE_METRICS} == {
            metric: pytest.approx(value, rel=1e-6) for metric, value in expected.items()
        }


def test_a_perfect_prediction(cells):
    control, treated, _ = cells
    found = in_all(measure(treated, control, treated, ALL))
    assert found == {
        metric: pytest.approx(0.0 if metric in ("mse_mean", "intercept_mean") else 1.0, abs=1e-12)
        for metric in GENE_METRICS
    }


def test_a_prediction_with_its_genes_shuffled(cells):
    control, treated, like_treated = cells
    shuffled = like_treated[:, np.random.default_rng(0).permutation(G)]
    found = in_all(measure(shuffled, control, treated, ALL))
    assert found["pearson_squared_mean"] < 0.2
    assert found["r2_mean"] < 0
    assert abs(found["pearson_change"]) < 0.4


def test_a_prediction_right_in_rank_and_wrong_in_scale(cells):
    control, treated, _ = cells
    found = in_all(measure(3 * treated, control, treated, ALL))
    assert found["pearson_squared_mean"] == pytest.approx(1, abs=1e-10)
    assert found["slope_mean"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["r2_mean"] < 0
    assert found["variance_ratio"] == pytest.approx(9, rel=1e-5)
    assert found["pearson_squared_variance"] == pytest.approx(1, abs=1e-10)


def test_a_prediction_shifted_by_a_constant(cells):
    control, treated, _ = cells
    found = in_all(measure(treated + np.float32(0.5), control, treated, ALL))
    assert found["pearson_squared_mean"] == pytest.approx(1, abs=1e-10)
    assert found["intercept_mean"] == pytest.approx(-0.5, abs=1e-6)
    assert found["mse_mean"] == pytest.approx(0.25, rel=1e-6)
    assert found["pearson_change"] == pytest.approx(1, abs=1e-10)
    assert found["cosine_change"] < 0.9
    assert found["variance_ratio"] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("order", ["same cells", "in other order", "their mean"])
def test_no_change_has_no_correlation_of_changes(cells, order):
    control, treated, _ = cells
    unchanged = {
        "same cells": control,
        "in other order": control[np.random.default_rng(0).permutation(len(control))],
        "their mean": np.tile(control.mean(axis=0), (50, 1)),
    }[order]
    found = measure(unchanged, control, treated, ALL)
    assert in_all(found)["sign_agreement"] == 0
    assert 0.5 < in_all(found)["pearson_squared_mean"] < 0.95
    expected = dict.fromkeys(
        ["pearson_change", "cosine_change"], "the predicted change is zero for all genes"
    )
    if order == "their mean":
        assert in_all(found)["variance_ratio"] == 0
        expected["pearson_squared_variance"] = "the predicted variance is the same for all genes"
    assert reasons(found) == expected


def test_a_change_by_one_constant_has_a_direction_but_no_correlation(cells):
    control, treated, _ = cells
    found = measure(control + np.float32(0.3), control, treated, ALL)
    assert reasons(found) == {"pearson_change": "the predicted change is the same for all genes"}
    assert 0 < in_all(found)["cosine_change"] < 1


def test_a_treatment_without_effect_gives_no_change_to_predict(cells):
    control, _, like_treated = cells
    found = measure(like_treated, control, control, ALL)
    assert reasons(found) == dict.fromkeys(
        ["pearson_change", "cosine_change", "sign_agreement"],
        "the real change is zero for all genes",
    )


def test_genes_that_no_cell_expresses_have_neither_sign_nor_ratio(cells):
    control, treated, like_treated = (
        np.where(np.arange(G) < 30, x, 0).astype(np.float32) for x in cells
    )
    for metric in ("sign_agreement", "variance_ratio"):
        with_silent = in_all(measure(like_treated, control, treated, ALL))[metric]
        assert (
            with_silent
            == in_all(measure(like_treated, control, treated, {"all": np.arange(30)}))[metric]
        )


@pytest.mark.parametrize("n_cells", [120, 10])
def test_spread_is_that_of_resampled_cells(cells, n_cells):
    control, treated, like_treated = (x[:n_cells] for x in cells)
    measured, _ = measure(like_treated, control, treated, ALL, n_resamples=1000)
    rng = np.random.default_rng(9)

    def resampled(x):
        return x[rng.choice(len(x), int(0.8 * len(x)))].astype(np.float64)

    resamples = [(resampled(like_treated), resampled(treated)) for _ in range(1000)]
    pairs = [(p.mean(axis=0), t.mean(axis=0)) for p, t in resamples]
    variances = [(p.var(axis=0, ddof=1), t.var(axis=0, ddof=1)) for p, t in resamples]
    before = control.mean(axis=0, dtype=np.float64)
    expected = {
        "r2_mean": np.std([r2_score(t, p) for p, t in pairs]),
        "slope_mean": np.std([linregress(p, t).slope for p, t in pairs]),
        "pearson_change": np.std([pearsonr(p - before, t - before).statistic for p, t in pairs]),
        "r2_variance": np.std([r2_score(t, p) for p, t in variances]),
        "variance_ratio": np.std([np.median(p[t > 0] / t[t > 0]) for p, t in variances]),
    }
    found = {m.metric: m.sd for m in measured}
    assert {metric: found[metric] for metric in expected} == {
        m: pytest.approx(sd, rel=0.15) for m, sd in expected.items()
    }
    assert all(sd > 0 for sd in found.values())


def test_the_seed_moves_the_spread_alone_and_repeats(cells):
    control, treated, like_treated = cells
    first, again, other = (
        measure(like_treated, control, treated, ALL, 20, seed)[0] for seed in (0, 0, 1)
    )
    assert first == again
    assert [m.value for m in first] == pytest.approx([m.value for m in other], rel=1e-12)
    assert all(a.sd != b.sd for a, b in zip(first, other, strict=True))


def test_spread_is_missing_where_cells_are_too_few(cells):
    control, treated, like_treated = cells
    assert {m.sd for m in measure(like_treated[:2], control, treated, ALL)[0]} == {None}
    assert {m.sd for m in measure(like_treated, control, treated, ALL, n_resamples=0)[0]} == {None}
    one = measure(like_treated[:1], control, treated, ALL)
    variances = [metric for metric in GENE_METRICS if GENE_METRICS[metric].statistic == "variance"]
    assert reasons(one) == dict.fromkeys(variances, "one cell has no variance")
    assert len(one[0]) == len(GENE_METRICS) - len(variances)


def test_values_that_are_not_finite_are_refused(cells):
    control, treated, like_treated = cells
    broken = like_treated.copy()
    broken[3, 4] = np.nan
    for given_cells in [
        (broken, control, treated),
        (treated, broken, treated),
        (treated, control, broken),
    ]:
        with pytest.raises(ValueError, match="not finite"):
            measure(*given_cells, ALL)
    with pytest.raises(ValueError, match="are NaN"):
        rank_genes(broken, control)
    with pytest.raises(ValueError, match="NaN"):
        measure_cells(broken, treated, principal_space(treated), seed=0)
    with pytest.raises(ValueError, match="must all be given"):
        measure(like_treated[:0], control, treated, ALL)


few_values = st.sampled_from([0.0, 0.1, 0.3, 1.0, 7.0])
few_cells = st.integers(1, 6).flatmap(lambda n: arrays(np.float32, (n, 4), elements=few_values))


@settings(deadline=None)
@given(few_cells, few_cells, few_cells)
def test_every_metric_has_a_finite_value_or_a_reason(predicted, control, treated):
    subsets = {"all": np.arange(4), "one": np.array([2])}
    measured, absent = measure(predicted, control, treated, subsets, n_resamples=5)
    named = [(found.metric, found.subset) for found in [*measured, *absent]]
    assert sorted(named) == sorted(
        (metric, subset) for metric in GENE_METRICS for subset in subsets
    )
    assert all(np.isfinite(m.value) and (m.sd is None or np.isfinite(m.sd)) for m in measured)
    for metric in ("pearson_squared_mean", "pearson_change", "cosine_change", "sign_agreement"):
        assert all(abs(m.value) <= 1 + 1e-9 for m in measured if m.metric == metric)


# Distances between cells


def test_cells_drawn_like_the_real_ones_are_near_and_control_cells_are_far(cells):
    control, treated, like_treated = cells
    space = principal_space(np.concatenate([control, treated]), 10)
    near, far = (in_all(measure_cells(x, treated, space, seed=0)) for x in (like_treated, control))
    assert set(near) == {"e_distance", "mmd", "two_sample_auc"}
    assert abs(near["e_distance"]) < 0.05 * far["e_distance"]
    assert abs(near["mmd"]) < 0.1 * far["mmd"]
    assert near["two_sample_auc"] == pytest.approx(0.5, abs=0.12)
    assert far["two_sample_auc"] > 0.95


def test_cell_metrics_are_those_of_equal_numbers_in_the_space_given(cells, monkeypatch):
    control, treated, like_treated = cells
    space = principal_space(treated, 10)
    x, y = space.transform(like_treated), space.transform(treated)
    assert in_all(measure_cells(like_treated, treated, space, seed=0)) == {
        "e_distance": energy_distance(x, y),
        "mmd": mmd(x, y),
        "two_sample_auc": two_sample_auc(x, y, 0),
    }
    sizes = []
    monkeypatch.setattr(
        response_metrics, "energy_distance", lambda x, y: sizes.append((len(x), len(y))) or 0.0
    )
    measure_cells(like_treated[:50], treated, space, seed=0)
    monkeypatch.setattr(response_metrics, "DISTANCE_CELLS", 30)
    measure_cells(control, treated, space, seed=0)
    assert sizes == [(50, 50), (30, 30)]
    assert measure_cells(control, treated, space, seed=0) == measure_cells(
        control, treated, space, seed=0
    )


def test_cell_metrics_are_absent_with_a_reason(cells):
    _, treated, like_treated = cells
    space = principal_space(treated, 10)
    measured, absent = measure_cells(like_treated[:4], treated, space, seed=0)
    assert measured == []
    assert {a.metric: a.reason for a in absent} == dict.fromkeys(
        ["e_distance", "mmd", "two_sample_auc"], "fewer than 5 cells"
    )
    collapsed = np.zeros(
        (20, treated.shape[1]), treated.dtype
    )  # rows of zeros: the same product on every machine
    same = measure_cells(collapsed, collapsed, space, seed=0)
    assert reasons(same) == {"mmd": "most pairs of cells are identical"}
    assert in_all(same) == {"e_distance": pytest.approx(0.0, abs=1e-6), "two_sample_auc": 0.5}
