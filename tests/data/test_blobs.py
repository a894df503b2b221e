"""Blobs: Gaussian classes in two conditions with known answers."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist

from sclatent.common.errors import UserError
from sclatent.data.readers.blobs import make_blobs


def means_of(adata, condition):
    """The mean of each class of a condition (n_classes, n_vars), in the order of their names."""
    x = pd.DataFrame(adata.X.toarray().astype(np.float64), index=adata.obs_names)
    chosen = adata.obs["condition"] == condition
    return x[chosen].groupby(adata.obs["cell_type"][chosen]).mean().to_numpy()


def test_every_class_has_as_many_cells_in_both_conditions():
    adata = make_blobs(n_vars=7, n_classes=3, n_cells=11)
    assert adata.shape == (66, 7)
    assert adata.obs.groupby(["cell_type", "condition"]).size().to_dict() == {
        (f"class_{i}", condition): 11 for i in range(3) for condition in ("ctrl", "trtmnt")
    }
    assert adata.obs_names.is_unique
    assert sparse.issparse(adata.X)
    assert adata.X.dtype == np.float32
    assert dict(adata.uns) == {"control": "ctrl", "real": True}


def test_equal_seeds_draw_the_same_bytes():
    one, same, other = (make_blobs(seed=seed) for seed in (4, 4, 5))
    assert one.X.data.tobytes() == same.X.data.tobytes()
    assert one.obs.equals(same.obs)
    assert one.X.data.tobytes() != other.X.data.tobytes()


def test_means_and_deviations_are_distributed_as_promised():
    n_classes, n_vars = 12, 40
    adata = make_blobs(n_vars=n_vars, n_classes=n_classes, n_cells=400, effect=1.5, seed=1)
    x = adata.X.toarray().reshape(2, 400, n_classes, n_vars)
    mean, deviation = x.mean(axis=1), x.std(axis=1)
    # 480 values each: their own means are within four standard errors of what is expected.
    assert abs(mean[0].mean() - 5) < 4 * 10 / np.sqrt(12 * 480)
    assert mean[0].min() > -0.1
    assert mean[0].max() < 10.1
    assert abs(deviation[0].mean() - 0.25) < 4 * 0.5 / np.sqrt(12 * 480)
    assert deviation[0].max() < 0.55
    shift = mean[1] - mean[0]
    assert abs(shift.mean() - 1.5) < 4 * 0.5 / np.sqrt(480)
    np.testing.assert_allclose(shift.std(), 0.5, rtol=0.15)
    assert np.abs(deviation[1] - deviation[0]).mean() < 0.03
    centred = (x - mean[:, None]) / deviation[:, None]
    np.testing.assert_allclose((np.abs(centred) < 1).mean(), 0.683, atol=0.005)


def test_cells_lie_with_their_class():
    adata = make_blobs(n_classes=4, n_cells=50)
    labels = adata.obs["cell_type"].to_numpy()
    for condition in ("ctrl", "trtmnt"):
        chosen = (adata.obs["condition"] == condition).to_numpy()
        distances = np.linalg.norm(
            adata.X.toarray()[chosen, None] - means_of(adata, condition), axis=2
        )
        assert ([f"class_{i}" for i in distances.argmin(axis=1)] == labels[chosen]).mean() > 0.99


@pytest.mark.parametrize("effect", [1.2, 1.7])
def test_no_class_is_shifted_as_far_as_the_nearest_two_are_apart(effect):
    norms = []
    for seed in range(50):
        adata = make_blobs(n_cells=40, effect=effect, seed=seed)
        control, treated = means_of(adata, "ctrl"), means_of(adata, "trtmnt")
        norms.append(np.linalg.norm(treated - control, axis=1))
        assert max(norms[-1]) < min(pdist(control).min(), pdist(treated).min())
    # Each of 16 dimensions is shifted by effect + N(0,1) / 2.
    assert np.sqrt(np.mean(np.square(norms))) == pytest.approx(
        np.sqrt(16 * (effect**2 + 0.25)), rel=0.05
    )


def test_blobs_are_drawn_anew_until_they_keep_apart():
    few = [make_blobs(n_vars=3, n_classes=3, n_cells=50, seed=seed) for seed in range(20)]
    for adata in few:
        control, treated = means_of(adata, "ctrl"), means_of(adata, "trtmnt")
        shift = np.linalg.norm(treated - control, axis=1).max()
        assert (
            shift < min(pdist(control).min(), pdist(treated).min()) + 0.5
        )  # means of 50 cells are a little off


@pytest.mark.parametrize("settings", [{"effect": 20}, {"n_vars": 1, "n_classes": 40}])
def test_settings_that_cannot_keep_classes_apart_are_refused(settings):
    with pytest.raises(UserError, match=r"no blobs of .* keep apart at effect .*; lower it"):
        make_blobs(n_cells=2, **settings)
