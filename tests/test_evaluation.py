import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.manifold import trustworthiness

from sclatent.clustering import cluster_seeds, kmeans
from sclatent.determinism import make_deterministic
from sclatent.louvain import louvain, neighbor_graph
from sclatent.metrics import METRICS, hungarian_accuracy, majority_accuracy, score_clusters, score_table
from sclatent.summary import as_html_page, as_text_table, headline, read_resources, summarize
from sclatent.tables import read_table, write_table
from sclatent.tsne import tsne
from sclatent.umap import umap

LABELS = np.array(list("aaaabbbbcc"))
labelings = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=2, max_size=40).map(
    lambda pairs: (np.array([label for label, _ in pairs]), np.array([cluster for _, cluster in pairs]))
)


@pytest.fixture(scope="module")
def blobs():
    points, labels = make_blobs(n_samples=[60, 60, 60], n_features=5, cluster_std=0.6, random_state=3)
    return points.astype(np.float32), labels


def test_clusters_are_found_where_they_are_plain(blobs):
    points, labels = blobs
    assert set(score_clusters(labels, kmeans(points, 3, 10, seed=0)).values()) == {1.0}
    make_deterministic(0, 1)
    assert majority_accuracy(labels, louvain(points, 15, resolution=1.0)) == 1.0


def test_louvain_repeats_with_its_seed_and_follows_seed_and_resolution():
    points = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)

    def partition(seed, resolution):
        make_deterministic(seed, 1)
        return louvain(points, 15, resolution)

    np.testing.assert_array_equal(partition(0, 1.0), partition(0, 1.0))
    assert any((partition(0, 1.0) != partition(seed, 1.0)).any() for seed in range(1, 5))
    assert partition(0, 3.0).max() > partition(0, 0.5).max()


def test_neighbor_graph_weights_are_jaccard_indices():
    points = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]], dtype=np.float32)
    graph = neighbor_graph(points, n_neighbors=2)
    edges = {(int(i), int(j)): w for i, j, w in zip(graph.row, graph.col, graph.data, strict=True)}
    assert edges == {edge: pytest.approx(1.0) for edge in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]}
    chain = neighbor_graph(np.array([[0.0], [1.0], [2.1], [3.3]], dtype=np.float32), n_neighbors=1)
    weights = {(int(i), int(j)): w for i, j, w in zip(chain.row, chain.col, chain.data, strict=True)}
    assert weights == {(0, 1): pytest.approx(1.0), (1, 2): pytest.approx(1 / 3), (2, 3): pytest.approx(1 / 3)}


def test_maps_keep_neighbours_and_repeat(blobs):
    points, _ = blobs
    for draw in (
        lambda: tsne(points, 2, perplexity=40, max_iter=300, seed=0, threads=1),
        lambda: tsne(points, 3, perplexity=40, max_iter=300, seed=0, threads=1),
        lambda: umap(points, n_neighbors=15, seed=0),
    ):
        first = draw()
        assert trustworthiness(points, first, n_neighbors=15) > 0.85
        np.testing.assert_array_equal(first, draw())


def test_a_perplexity_that_few_cells_cannot_have_is_lowered(blobs):
    assert tsne(blobs[0][:20], 2, perplexity=40, max_iter=250, seed=0, threads=1).shape == (20, 2)


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_narrow_latents_have_maps_too(blobs, latent_dim):
    points = np.ascontiguousarray(blobs[0][:, :latent_dim])
    for n_components in (2, 3):
        drawn = tsne(points, n_components, perplexity=20, max_iter=250, seed=0, threads=1)
        assert drawn.shape == (180, n_components)
        assert np.isfinite(drawn).all()
    dead = np.column_stack([points[:, 0], np.zeros(180), np.zeros(180)]).astype(np.float32)
    assert np.isfinite(tsne(dead, 3, perplexity=20, max_iter=250, seed=0, threads=1)).all()


def test_every_latent_is_clustered_and_two_dimensional_maps_are(blobs):
    points, _ = blobs
    cells = pd.Index([f"c{i}" for i in range(len(points))])
    latents = {("mean", 0): points, ("sample", 0): points + 0.1, ("mean", 1): points}
    maps = {("tsne_2d", 0): points[:, :2], ("tsne_3d", 0): points[:, :3], ("tsne_2d", 1): points[:, :2]}
    table = cluster_seeds(cells, latents, maps, n_clusters=3, n_init=2, n_neighbors=15, resolution=1.0, threads=1)
    found = table.groupby(["seed", "latent", "method"]).size()
    assert dict(found) == {
        (0, "mean", "kmeans_latent"): 180,
        (0, "mean", "kmeans_tsne"): 180,
        (0, "mean", "louvain_latent"): 180,
        (0, "sample", "kmeans_latent"): 180,
        (0, "sample", "louvain_latent"): 180,
        (1, "mean", "kmeans_latent"): 180,
        (1, "mean", "kmeans_tsne"): 180,
        (1, "mean", "louvain_latent"): 180,
    }


def test_metrics_of_a_hand_made_case():
    clusters = np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 3])
    assert majority_accuracy(LABELS, clusters) == pytest.approx(9 / 10)
    assert hungarian_accuracy(LABELS, clusters) == pytest.approx(8 / 10)


@given(labelings)
def test_metrics_keep_their_laws(pair):
    labels, clusters = pair
    scores = score_clusters(labels, clusters)
    assert scores["nmi_geometric"] == pytest.approx(math.sqrt(scores["homogeneity"] * scores["completeness"]), abs=1e-6)
    assert scores["majority_accuracy"] >= scores["hungarian_accuracy"]
    assert all(-0.5 <= value <= 1 + 1e-9 for value in scores.values())
    renamed = score_clusters(labels, (clusters * 7 + 3) % 5)
    assert scores == {name: pytest.approx(value) for name, value in renamed.items()}


@given(labelings)
def test_perfect_clusters_score_one(pair):
    labels, _ = pair
    perfect = score_clusters(labels, np.unique(labels, return_inverse=True)[1])
    assert perfect == {name: pytest.approx(1.0) for name in METRICS}


def test_scores_are_matched_to_cells_by_name():
    labels = pd.Series(list("aabb"), index=["w", "x", "y", "z"])
    clusters = pd.DataFrame({"cell": ["z", "y", "x", "w"], "seed": 0, "latent": "mean", "method": "m", "cluster": [1, 1, 0, 0]})
    assert set(score_table(clusters, labels)["value"]) == {1.0}


@pytest.fixture
def study():
    """Scores of two models over two seeds; the second seed of b failed, and so did both of c."""
    columns = ["dataset", "model", "seed", "latent", "method", "metric", "value"]
    scores = pd.DataFrame(
        [
            ("d", "a", 0, "mean", "kmeans_latent", "ari", 0.5),
            ("d", "a", 1, "mean", "kmeans_latent", "ari", 0.7),
            ("d", "b", 0, "mean", "kmeans_latent", "ari", 0.9),
        ],
        columns=columns,
    )
    rows = [
        ("d", model, seed, status)
        for model, seed, status in [
            ("a", 0, "trained"),
            ("a", 1, "trained"),
            ("b", 0, "trained"),
            ("b", 1, "failed"),
            ("c", 0, "failed"),
            ("c", 1, "failed"),
        ]
    ]
    return scores, pd.DataFrame(rows, columns=["dataset", "model", "seed", "status"])


def test_summary_counts_what_failed(study):
    summary = summarize(*study).set_index("model")
    assert summary.loc["a", "mean"] == pytest.approx(0.6)
    assert summary.loc["a", "sd"] == pytest.approx(math.sqrt(0.02))
    assert summary["n"].to_dict() == {"a": 2, "b": 1, "c": 0}
    assert summary["failed_share"].to_dict() == {"a": 0.0, "b": 0.5, "c": 1.0}
    assert summary.loc[["b", "c"], "sd"].isna().all()
    assert math.isnan(summary.loc["c", "mean"])


def test_headline_shows_spread_and_failures(study):
    scores, runs = study
    table = headline(summarize(scores, runs), runs, {"d": "Data"}, {"a": "A", "b": "B", "c": "<C>"})
    assert list(table["k-means ARI"]) == ["0.600 ± 0.141", "0.900", "–"]
    assert list(table["failed"]) == ["0 of 2", "1 of 2", "2 of 2"]
    lines = as_text_table(table).splitlines()
    assert len(lines) == 5
    assert "&lt;C&gt;" in as_html_page(table, "T", "{}")


def test_resources_are_read_from_benchmark_files(tmp_path):
    paths = []
    for job, memory in [("train/digits/ae/0", "-"), ("encode/quick/digits/ae", "20.5"), ("score/quick/digits", "3.0")]:
        path = tmp_path / "benchmarks" / f"{job}.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\tmax_rss\n1.5\t0:00:01\t{memory}\n")
        paths.append(str(path))
    write_table(read_resources(paths), tmp_path / "resources.tsv", "resources", {})
    trained, encoded, scored = read_table(tmp_path / "resources.tsv", "resources").itertuples(index=False)
    assert trained[:5] == ("train", "digits", "ae", 0, 1.5)
    assert math.isnan(trained.peak_memory)
    assert (encoded.rule, encoded.model, encoded.peak_memory) == ("encode", "ae", 20.5)
    assert encoded.seed is pd.NA
    assert (scored.dataset, scored.rule) == ("digits", "score")
    assert pd.isna(scored.model)
