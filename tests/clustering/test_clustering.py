"""Clusters of latents, and their agreement with labels."""

import math

import igraph
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.datasets import make_blobs

from sclatent.clustering.communities import community_graph, leiden, louvain, neighbor_graph
from sclatent.clustering.methods import RESOLUTIONS, cluster_seeds, communities, kmeans, oracle
from sclatent.clustering.scores import score_table
from sclatent.common.determinism import make_deterministic
from sclatent.config.studies import Clustering
from sclatent.metrics.agreement import (
    AGREEMENT_METRICS,
    SILHOUETTE_CELLS,
    recalls,
    silhouette,
)

LABELS = np.array(list("aaaabbbbcc"))
CLUSTERS = np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 3])
ALGORITHMS = {"louvain": louvain, "leiden": leiden}
labelings = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=2, max_size=40
).map(
    lambda pairs: (
        np.array([label for label, _ in pairs]),
        np.array([cluster for _, cluster in pairs]),
    )
)


def agreement_of(labels, clusters) -> dict[str, float]:
    """Every metric of agreement of clusters with labels, by name."""
    counts = metrics.cluster.contingency_matrix(labels, clusters)
    return {name: metric(counts) for name, metric in AGREEMENT_METRICS.items()}


@pytest.fixture(scope="module")
def blobs():
    points, labels = make_blobs(
        n_samples=[60, 60, 60], n_features=5, cluster_std=0.6, random_state=3
    )
    return points.astype(np.float32), np.array(list("abc"))[labels]


@pytest.fixture(scope="module")
def noise_graph():
    """The graph of points without clusters, on which every resolution and seed finds others."""
    return community_graph(np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32), 15)


def test_clusters_are_found_where_they_are_plain(blobs):
    points, labels = blobs
    assert agreement_of(labels, kmeans(points, 3, 10, seed=0)) == {
        name: pytest.approx(1.0) for name in AGREEMENT_METRICS
    }
    graph = community_graph(points, 15)
    for algorithm in ALGORITHMS:
        assert (
            agreement_of(labels, communities(algorithm, graph, 1.0, seed=0, threads=1))[
                "majority_accuracy"
            ]
            == 1.0
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_communities_repeat_with_their_seed_and_follow_seed_and_resolution(noise_graph, algorithm):
    def partition(seed, resolution):
        return communities(algorithm, noise_graph, resolution, seed, threads=1)

    np.testing.assert_array_equal(partition(0, 1.0), partition(0, 1.0))
    assert any((partition(0, 1.0) != partition(seed, 1.0)).any() for seed in range(1, 5))
    assert partition(0, 3.0).max() > partition(0, 0.5).max()
    assert set(partition(0, 1.0)) == set(range(partition(0, 1.0).max() + 1))


@pytest.mark.parametrize("algorithm", ALGORITHMS.values())
@pytest.mark.parametrize(
    ("weights", "apart"), [([9, 1, 9, 1], [(0, 1), (2, 3)]), ([1, 9, 1, 9], [(1, 2), (3, 0)])]
)
def test_communities_follow_the_weights(algorithm, weights, apart):
    square = igraph.Graph(4, [(0, 1), (1, 2), (2, 3), (3, 0)], edge_attrs={"weight": weights})
    make_deterministic(0, 1)
    found = algorithm(square, 1.0)
    (a, b), (c, d) = apart
    assert found[a] == found[b] != found[c] == found[d]


def test_leiden_finds_the_larger_modularity_and_no_broken_community(noise_graph):
    modularity = {}
    for algorithm in ALGORITHMS:
        found = [communities(algorithm, noise_graph, 1.0, seed, threads=1) for seed in range(5)]
        modularity[algorithm] = np.mean(
            [noise_graph.modularity(clusters, weights="weight") for clusters in found]
        )
    assert modularity["leiden"] > modularity["louvain"] > 0
    assert all(
        noise_graph.induced_subgraph(np.flatnonzero(found[0] == k).tolist()).is_connected()
        for k in set(found[0])
    )


def test_neighbor_graph_weights_are_jaccard_indices():
    points = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]], dtype=np.float32)
    graph = neighbor_graph(points, n_neighbors=2)
    edges = {(int(i), int(j)): w for i, j, w in zip(graph.row, graph.col, graph.data, strict=True)}
    assert edges == {
        edge: pytest.approx(1.0) for edge in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
    }
    chain = neighbor_graph(np.array([[0.0], [1.0], [2.1], [3.3]], dtype=np.float32), n_neighbors=1)
    weights = {
        (int(i), int(j)): w for i, j, w in zip(chain.row, chain.col, chain.data, strict=True)
    }
    assert weights == {
        (0, 1): pytest.approx(1.0),
        (1, 2): pytest.approx(1 / 3),
        (2, 3): pytest.approx(1 / 3),
    }


def test_communities_are_those_of_the_neighbor_graph():
    points = np.random.default_rng(0).normal(size=(40, 3))
    graph, expected = community_graph(points, 5), neighbor_graph(points, 5)
    assert graph.vcount() == 40
    assert graph.get_edgelist() == list(
        zip(expected.row.tolist(), expected.col.tolist(), strict=True)
    )
    np.testing.assert_array_equal(graph.es["weight"], expected.data)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_oracle_finds_the_resolution_of_the_labels(noise_graph, algorithm):
    assert [RESOLUTIONS[0], RESOLUTIONS[9], RESOLUTIONS[-1], len(RESOLUTIONS)] == [
        0.1,
        1.0,
        2.0,
        20,
    ]
    for resolution in (0.5, 2.0):
        labels = communities(algorithm, noise_graph, resolution, seed=0, threads=1)
        np.testing.assert_array_equal(
            oracle(algorithm, noise_graph, labels, seed=0, threads=1), labels
        )
    labels = np.random.default_rng(0).integers(0, 3, 400)
    nmi = [
        metrics.normalized_mutual_info_score(
            labels, communities(algorithm, noise_graph, resolution, seed=0, threads=1)
        )
        for resolution in RESOLUTIONS
    ]
    assert (
        metrics.normalized_mutual_info_score(labels, oracle(algorithm, noise_graph, labels, 0, 1))
        == max(nmi)
        > min(nmi)
    )


@pytest.fixture(scope="module")
def clustered(blobs):
    """What two seeds of a mixture are clustered from, and how."""
    points, labels = blobs
    return {
        "labels": by_cell(labels),
        "arrays": {
            ("mean", 0): points,
            ("responsibilities", 0): np.eye(5, dtype=np.float32)[np.arange(180) % 5],
            ("sample", 0): points + 0.1,
            ("w_mean", 0): points[:, :1],
            ("mean", 1): points[:, ::-1] * 2,
            ("responsibilities", 1): np.full((180, 2), 0.5, np.float32),
            ("tsne_2d", 0): points[:, :2],
            ("tsne_2d_sample", 0): points[:, :2],
            ("tsne_3d", 0): points[:, :3],
            ("tsne_2d", 1): points[:, 1:3],
        },
        "settings": Clustering(n_init=2, n_neighbors=15, resolution=1.0),
        "n_components": [],
        "threads": 1,
    }


def test_every_latent_has_the_methods_that_apply(clustered):
    table = cluster_seeds(**clustered)
    latent = {"kmeans_latent", "louvain_latent", "leiden_latent"}
    mean = latent | {"louvain_oracle", "leiden_oracle", "components", "kmeans_tsne"}
    found = {key: set(rows["method"]) for key, rows in table.groupby(["seed", "latent"])}
    assert found == {(0, "mean"): mean, (0, "sample"): latent | {"kmeans_tsne"}, (1, "mean"): mean}
    for _, rows in table.groupby(["seed", "latent", "method"]):
        assert list(rows["cell"]) == list(clustered["labels"].index)
    by_method = table[table["seed"] == 0].groupby(["latent", "method"])["cluster"]
    np.testing.assert_array_equal(by_method.get_group(("mean", "components")), np.arange(180) % 5)
    assert by_method.nunique()[[("mean", "kmeans_latent"), ("mean", "kmeans_tsne")]].tolist() == [
        3,
        3,
    ]
    latents = {
        key: points for key, points in clustered["arrays"].items() if key[0] in ("mean", "sample")
    }
    bare = cluster_seeds(**clustered | {"arrays": latents})
    assert set(bare["method"]) == latent | {"louvain_oracle", "leiden_oracle"}
    assert cluster_seeds(**clustered | {"arrays": {}}).empty


def test_floors_of_mixtures_are_divided_into_as_many_clusters(clustered):
    table = cluster_seeds(**clustered | {"n_components": [2, 7]})
    divided = table[table["method"].isin(["kmeans_2", "kmeans_7"])]
    found = divided.groupby(["seed", "latent", "method"])["cluster"].nunique()
    assert found.to_dict() == {(seed, "mean", f"kmeans_{n}"): n for seed in (0, 1) for n in (2, 7)}


def test_no_method_depends_on_which_others_run(clustered):
    rng = np.random.default_rng(0)
    noise = {("mean", seed): rng.normal(size=(180, 4)) for seed in range(2)}
    clustered = clustered | {
        "labels": by_cell(np.repeat(list("abcd"), 45)),
        "arrays": clustered["arrays"] | noise,
    }
    alone = clustered | {"arrays": {("mean", 1): noise["mean", 1]}}
    key = ["seed", "latent", "method", "cell"]
    alone, among = (cluster_seeds(**each).set_index(key)["cluster"] for each in (alone, clustered))
    pd.testing.assert_series_equal(alone, among[alone.index])


def test_only_the_oracles_and_the_number_of_clusters_see_labels(clustered):
    labels = by_cell(np.random.default_rng(0).permutation(clustered["labels"]))
    tables = [
        cluster_seeds(**clustered | {"labels": each}) for each in (clustered["labels"], labels)
    ]
    blind = [table[~table["method"].str.endswith("oracle")] for table in tables]
    pd.testing.assert_frame_equal(*blind)


def test_metrics_of_a_hand_made_case():
    scores = agreement_of(LABELS, CLUSTERS)
    assert scores["majority_accuracy"] == pytest.approx(9 / 10)
    assert scores["hungarian_accuracy"] == pytest.approx(8 / 10)
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 + 1) / 3)


@given(labelings)
def test_metrics_equal_those_of_scikit_learn(pair):
    labels, clusters = pair
    counts = metrics.cluster.contingency_matrix(labels, clusters)
    tags = np.unique(labels)[counts.argmax(axis=0)][np.unique(clusters, return_inverse=True)[1]]
    scores = agreement_of(labels, clusters)
    expected = {
        "nmi_geometric": metrics.normalized_mutual_info_score(
            labels, clusters, average_method="geometric"
        ),
        "nmi_arithmetic": metrics.normalized_mutual_info_score(labels, clusters),
        "ari": metrics.adjusted_rand_score(labels, clusters),
        "homogeneity": metrics.homogeneity_score(labels, clusters),
        "completeness": metrics.completeness_score(labels, clusters),
        "majority_accuracy": metrics.accuracy_score(labels, tags),
        "balanced_accuracy": metrics.recall_score(
            labels, tags, average="macro", labels=np.unique(labels), zero_division=0
        ),
    }
    assert {name: scores[name] for name in expected} == {
        name: pytest.approx(value, abs=1e-9) for name, value in expected.items()
    }
    by_label = metrics.recall_score(
        labels, tags, average=None, labels=np.unique(labels), zero_division=0
    )
    np.testing.assert_allclose(recalls(counts), by_label)


@given(labelings)
def test_metrics_keep_their_laws(pair):
    labels, clusters = pair
    scores = agreement_of(labels, clusters)
    assert scores["nmi_geometric"] == pytest.approx(
        math.sqrt(scores["homogeneity"] * scores["completeness"]), abs=1e-6
    )
    assert scores["majority_accuracy"] >= scores["hungarian_accuracy"]
    assert all(-0.5 <= value <= 1 + 1e-9 for value in scores.values())
    renamed = agreement_of(labels, (clusters * 7 + 3) % 5)
    assert scores == {name: pytest.approx(value) for name, value in renamed.items()}


@given(labelings)
def test_perfect_clusters_score_one(pair):
    labels, _ = pair
    perfect = agreement_of(labels, np.unique(labels, return_inverse=True)[1])
    assert perfect == {name: pytest.approx(1.0) for name in AGREEMENT_METRICS}


def clusters_table(clusters, seed=0, method="m"):
    cells = [f"c{i}" for i in range(len(clusters))]
    return pd.DataFrame(
        {"cell": cells, "seed": seed, "latent": "mean", "method": method, "cluster": clusters}
    )


def by_cell(values):
    return pd.Series(values, index=[f"c{i}" for i in range(len(values))])


def test_scores_are_matched_to_cells_by_name():
    table = clusters_table([0, 0, 1, 1])
    labels = by_cell(list("aabb")).astype("category")
    split = by_cell(["train"] * 4)
    expected = score_table(table, labels, split)
    perfect = expected.set_index("metric")["value"]
    assert perfect.drop(["n_clusters", "n_missed"]).tolist() == pytest.approx([1.0] * 10)
    pd.testing.assert_frame_equal(
        score_table(table.sample(frac=1, random_state=0), labels.iloc[::-1], split), expected
    )
    with pytest.raises(KeyError, match="c3"):
        score_table(table, labels.iloc[:3], split)


def test_the_table_holds_every_score_of_a_hand_made_case():
    table = pd.concat(
        [
            clusters_table(CLUSTERS, method="found"),
            clusters_table(np.zeros(10, int), seed=1, method="one"),
        ]
    )
    scores = score_table(table, by_cell(LABELS), by_cell(["train"] * 10))
    assert list(scores) == [
        "seed",
        "split",
        "latent",
        "method",
        "metric",
        "subset",
        "value",
        "chance",
        "ceiling",
    ]
    assert set(scores["split"]) == {"all"}
    assert scores["subset"].map(type).eq(str).all()
    assert not scores.isna().any(axis=None)
    found = scores[scores["method"] == "found"].set_index(["metric", "subset"])
    assert dict(found.loc["recall", "value"]) == {"a": 0.75, "b": 1.0, "c": 1.0}
    assert found.loc["n_clusters", ["value", "chance", "ceiling"]].to_numpy().tolist() == [
        [4, 4, 3]
    ]
    assert found.loc["n_missed", ["value", "ceiling"]].to_numpy().tolist() == [[0, 0]]
    agreement = found.drop(["n_clusters", "n_missed"], level="metric")
    assert agreement["ceiling"].tolist() == pytest.approx([1.0] * len(agreement))
    assert dict(
        found["value"].xs("all", level="subset").loc[list(AGREEMENT_METRICS)]
    ) == pytest.approx(agreement_of(LABELS, CLUSTERS))
    one = scores[scores["seed"] == 1].set_index(["metric", "subset"])["value"]
    assert (one["n_missed", "all"], one["recall", "a"], one["recall", "b"], one["ari", "all"]) == (
        2,
        1,
        0,
        0,
    )


def test_chance_is_what_shuffled_labels_score():
    rng = np.random.default_rng(0)
    labels, clusters = rng.choice(list("abc"), 300, p=[0.7, 0.2, 0.1]), rng.integers(0, 40, 300)
    scores = score_table(clusters_table(clusters), by_cell(labels), by_cell(["train"] * 300))
    chance = scores[scores["subset"] == "all"].set_index("metric")["chance"]
    shuffled = pd.DataFrame([agreement_of(rng.permutation(labels), clusters) for _ in range(200)])
    assert (
        (chance[list(AGREEMENT_METRICS)] - shuffled.mean())
        .abs()
        .lt(4 * shuffled.std() / math.sqrt(5))
        .all()
    )
    assert chance["majority_accuracy"] >= (labels == "a").mean() > chance["hungarian_accuracy"]
    assert chance["ari"] == pytest.approx(0, abs=0.01)
    pd.testing.assert_frame_equal(
        scores, score_table(clusters_table(clusters), by_cell(labels), by_cell(["train"] * 300))
    )


def test_a_split_is_scored_on_its_cells_alone():
    held = np.array([False] * 6 + [True] * 4)
    labels, clusters = np.array(list("aabbccaabb")), np.array([0, 0, 1, 1, 2, 2, 0, 1, 1, 1])
    scores = score_table(
        clusters_table(clusters), by_cell(labels), by_cell(np.where(held, "held_out", "train"))
    )
    value = scores.set_index(["split", "metric", "subset"])["value"]
    for split, cells in {"all": held | True, "train": ~held, "held_out": held}.items():
        assert dict(
            value[split].xs("all", level="subset")[list(AGREEMENT_METRICS)]
        ) == pytest.approx(agreement_of(labels[cells], clusters[cells]))
        assert value[split, "n_clusters", "all"] == len(set(clusters[cells]))
        assert list(value[split]["recall"].index) == sorted(set(labels[cells]))
    assert value["held_out", "recall", "a"] == 0.5


def test_a_split_of_one_label_has_no_scores():
    labels, split = by_cell(list("aabb")), by_cell(["train", "train", "held_out", "held_out"])
    assert set(score_table(clusters_table([0, 1, 0, 1]), labels, split)["split"]) == {"all"}
    empty = score_table(clusters_table([0, 1, 0, 1]), by_cell(list("aaaa")), split)
    assert empty.empty
    assert list(empty) == list(score_table(clusters_table([0, 1, 0, 1]), labels, split))


def test_silhouette_is_that_of_scikit_learn_without_labels_of_one_cell(blobs):
    points, labels = blobs
    expected = metrics.silhouette_score(points, labels)
    assert silhouette(points, labels) == pytest.approx(expected)
    assert silhouette(np.vstack([points, points[:1]]), np.append(labels, "alone")) == pytest.approx(
        expected
    )
    with pytest.raises(ValueError, match="fewer than two labels"):
        silhouette(points, np.where(np.arange(180) == 0, "alone", "other"))


def test_silhouette_of_many_cells_is_that_of_some():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2 * SILHOUETTE_CELLS)
    points = rng.normal(size=(len(labels), 2)) + 2 * labels[:, None]
    assert (
        silhouette(points, labels)
        == silhouette(points, labels)
        != silhouette(points, labels, seed=1)
    )
    assert silhouette(points, labels) == pytest.approx(silhouette(points, labels, seed=1), abs=0.02)
