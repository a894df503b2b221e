"""Training cells in balanced groups."""

import importlib

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from helpers import job
from scipy import sparse

from sclatent.common.errors import UserError
from sclatent.data.balance import balance
from sclatent.io.expression import Values, read_values
from sclatent.io.matrices import write_matrix
from sclatent.io.tables import write_table


@pytest.fixture
def values():
    """60 cells of 8 genes, every third held out, the last gene constant."""
    x = np.random.default_rng(0).gamma(1, 2, size=(60, 8)).astype(np.float32)
    x[:, -1] = 0.1
    cells = np.array([f"cell_{i}" for i in range(60)])
    return Values(sparse.csr_matrix(x), cells, np.arange(60) % 3 > 0, None, None, np.inf)


def test_all_cells_are_seen_as_the_standardised_ones_that_were_trained_on(values, groups, tmp_path):
    obs = pd.DataFrame({"cell_type": "a", "pct_counts_mt": 0.0}, index=values.cells)
    obs["cell_type"] = obs["cell_type"].astype("category")
    obs["split"] = pd.Categorical(np.where(values.training, "train", "held_out"))
    data = ad.AnnData(
        values.x,
        obs=obs,
        var=pd.DataFrame({"mean": np.ones(8), "std": np.full(8, 2.0)}, index=list("ABCDEFGH")),
    )
    data.uns["max_value"] = 0.7
    write_matrix(data, tmp_path / "preprocessed.h5ad", "preprocessed", {})
    trained_on = balance(
        read_values(tmp_path / "preprocessed.h5ad"), groups, n=30, standardize=True
    )
    write_matrix(trained_on, tmp_path / "training.h5ad", "training", {})
    seen = read_values(tmp_path / "preprocessed.h5ad", tmp_path / "training.h5ad").dense()
    np.testing.assert_allclose(seen[rows_of(values, trained_on)], trained_on.X, atol=1e-6)
    plain = read_values(tmp_path / "preprocessed.h5ad", tmp_path / "preprocessed.h5ad").dense()
    np.testing.assert_array_equal(plain, read_values(tmp_path / "preprocessed.h5ad").dense())
    assert not np.allclose(plain, seen)


@pytest.fixture
def groups(values):
    """Three groups of the 40 training cells: 4, 10 and 26."""
    return pd.Series(["b"] * 4 + ["a"] * 10 + ["c"] * 26, index=values.cells[values.training])


def scaled(values):
    """The same cells, to be scaled when they are read; mean and deviation are given."""
    return Values(
        values.x, values.cells, values.training, np.linspace(0, 2, 8), np.linspace(0, 3, 8), 1.5
    )


def rows_of(values, result):
    """The number of the cell that each row was."""
    return pd.Index(values.cells).get_indexer(result.obs["drawn"])


def test_as_many_cells_of_each_group_are_drawn(values, groups):
    result = balance(values, groups, n=50)
    assert result.shape == (150, 8)
    assert list(groups[result.obs["drawn"].astype(str)]) == ["a"] * 50 + ["b"] * 50 + ["c"] * 50
    assert result.obs["drawn"][50:100].nunique() == 4, "with replacement"
    assert sparse.issparse(result.X)
    assert result.X.dtype == np.float32


def test_a_row_holds_the_values_of_the_cell_that_it_names(values, groups):
    result = balance(values, groups, n=5)
    np.testing.assert_array_equal(result.X.toarray(), values.x.toarray()[rows_of(values, result)])
    result = balance(scaled(values), groups, n=5)
    np.testing.assert_array_equal(result.X, scaled(values).dense()[rows_of(values, result)])
    assert np.abs(result.X).max() == 1.5


def test_augment_puts_all_training_cells_first(values, groups):
    result = balance(values, groups, n=5, augment=True)
    assert list(result.obs["drawn"][:40]) == list(values.cells[values.training])
    assert list(result.obs["drawn"][40:]) == list(balance(values, groups, n=5).obs["drawn"])
    np.testing.assert_array_equal(result.X.toarray(), values.x.toarray()[rows_of(values, result)])


def test_noise_has_the_deviation_asked_for(values, groups):
    plain, noisy = (balance(values, groups, n=1000, noise=noise) for noise in (0.0, 0.25))
    assert list(noisy.obs["drawn"]) == list(plain.obs["drawn"])
    noise = noisy.X - plain.X.toarray()
    np.testing.assert_allclose(noise.std(axis=0), 0.25, rtol=0.05)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)
    assert noisy.X.dtype == np.float32


def test_standardize_centres_and_scales_the_cells_returned(values, groups):
    result = balance(values, groups, n=500, standardize=True)
    x = result.X.astype(np.float64)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x[:, :-1].std(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(x[:, -1], 0)
    assert result.X.dtype == np.float32


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("augment", [False, True])
def test_the_result_is_that_of_the_thesis_function(values, groups, scale, augment):
    values = scaled(values) if scale else values
    result = balance(values, groups, n=30, augment=augment, noise=0.1, standardize=True, seed=3)
    x, rng = values.dense().astype(np.float64), np.random.default_rng(3)
    rows = [i for i in range(60) if i % 3] if augment else []
    for category in ("a", "b", "c"):
        members = [i for i in range(60) if i % 3 and groups[f"cell_{i}"] == category]
        rows += [members[k] for k in rng.integers(0, len(members), size=30)]
    expected = x[rows]
    expected += 0.1 * rng.standard_normal(expected.shape, dtype=np.float32)
    expected -= np.mean(expected, axis=0)
    expected /= np.std(expected, axis=0)
    assert list(result.obs["drawn"]) == [f"cell_{i}" for i in rows]
    np.testing.assert_allclose(result.X, expected, rtol=1e-4, atol=1e-4)


def test_equal_seeds_draw_the_same_bytes(values, groups):
    one, same, other = (balance(values, groups, n=20, noise=0.1, seed=seed) for seed in (1, 1, 2))
    assert one.X.tobytes() == same.X.tobytes()
    assert one.obs.equals(same.obs)
    assert list(one.obs["drawn"]) != list(other.obs["drawn"])


def test_cells_held_out_are_not_drawn_and_change_nothing(values, groups):
    settings = {"n": 200, "augment": True, "noise": 0.1, "standardize": True}
    result = balance(values, groups, **settings)
    assert set(result.obs["drawn"]) == set(values.cells[values.training])
    x = values.x.toarray()
    x[~values.training] = 1e6
    others = Values(sparse.csr_matrix(x), values.cells, values.training, None, None, np.inf)
    everyone = groups.reindex(values.cells, fill_value="held out")
    assert balance(others, everyone, **settings).X.tobytes() == result.X.tobytes()


def test_a_training_cell_without_a_group_is_named(values, groups):
    with pytest.raises(
        UserError, match="2 training cells have no group to balance by, the first cell_1"
    ):
        balance(values, groups.drop(["cell_1", "cell_5"]), n=5)


def test_groups_are_a_label_or_the_table_of_louvain_clusters(values, tmp_path):
    script = importlib.import_module("balance")
    split = np.where(values.training, "train", "held_out")
    obs = {
        "cell_type": pd.Categorical(["a", "b"] * 30),
        "split": pd.Categorical(split),
        "pct_counts_mt": np.nan,
    }
    adata = ad.AnnData(values.x, obs=pd.DataFrame(obs, index=values.cells))
    write_matrix(adata, tmp_path / "data.h5ad", "preprocessed", {})
    clusters = pd.DataFrame(
        {"cell": values.cells[values.training], "cluster": [0] * 3 + [1] * 7 + [10] * 30}
    )
    write_table(clusters, tmp_path / "clusters.tsv", "data_clusters", {})

    def drawn(by, files):
        read_from = {"data": tmp_path / "data.h5ad", "clusters": files}
        script.main(
            job(
                "balance",
                read_from,
                [tmp_path / "training.h5ad"],
                {"by": by, "settings": {"n": 20}},
            )
        )
        read = read_values(tmp_path / "training.h5ad")
        assert read.training.all()
        return read.cells

    by_louvain = clusters.set_index("cell")["cluster"][
        drawn("louvain", [tmp_path / "clusters.tsv"])
    ]
    assert dict(by_louvain.value_counts()) == {0: 20, 1: 20, 10: 20}
    by_label = adata.obs.loc[drawn("cell_type", []), "cell_type"]
    assert dict(by_label.value_counts()) == {"a": 20, "b": 20}
