"""Two- and three-dimensional maps of latents."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.manifold import trustworthiness

from sclatent.embedding.tsne import tsne
from sclatent.embedding.umap_map import umap


@pytest.fixture(scope="module")
def points():
    """Three groups of 60 points in five dimensions."""
    points, _ = make_blobs(n_samples=[60, 60, 60], n_features=5, cluster_std=0.6, random_state=3)
    return points.astype(np.float32)


def test_maps_keep_neighbours_and_repeat(points):
    for draw in (
        lambda: tsne(points, 2, perplexity=40, max_iter=300, seed=0, threads=1),
        lambda: tsne(points, 3, perplexity=40, max_iter=300, seed=0, threads=1),
        lambda: umap(points, n_neighbors=15, seed=0),
    ):
        first = draw()
        assert trustworthiness(points, first, n_neighbors=15) > 0.85
        np.testing.assert_array_equal(first, draw())


def test_a_perplexity_that_few_cells_cannot_have_is_lowered(points):
    assert tsne(points[:20], 2, perplexity=40, max_iter=250, seed=0, threads=1).shape == (20, 2)


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_narrow_latents_have_maps_too(points, latent_dim):
    narrow = np.ascontiguousarray(points[:, :latent_dim])
    for n_components in (2, 3):
        drawn = tsne(narrow, n_components, perplexity=20, max_iter=250, seed=0, threads=1)
        assert drawn.shape == (180, n_components)
        assert np.isfinite(drawn).all()
    dead = np.column_stack([narrow[:, 0], np.zeros(180), np.zeros(180)]).astype(np.float32)
    assert np.isfinite(tsne(dead, 3, perplexity=20, max_iter=250, seed=0, threads=1)).all()
