import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy
import sklearn.datasets
from scipy import sparse

from sclatent.errors import UserError
from sclatent.fetch import fetch_embedded
from sclatent.ingest import read_digits, read_pbmc68k_reduced
from sclatent.preprocess import preprocess, quality_control

PBMC = Path(scanpy.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
DIGITS = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"


@pytest.fixture
def cells():
    """Four cells and five genes; the last cell has one detected gene, the fourth gene is in one cell."""
    counts = sparse.csr_matrix(np.array([[1, 2, 3, 0, 1], [2, 0, 1, 4, 1], [5, 1, 1, 0, 2], [0, 0, 7, 0, 0]], dtype=np.int32))
    obs = pd.DataFrame({"cell_type": pd.Categorical(list("aabb")), "pct_counts_mt": [1.0, 2.0, 30.0, 1.0]}, index=list("wxyz"))
    return ad.AnnData(obs=obs, var=pd.DataFrame(index=list("ABCDE")), layers={"counts": counts})


def test_counts_of_pbmc68k_are_rebuilt():
    adata = read_pbmc68k_reduced(PBMC)
    assert adata.shape == (700, 765)
    assert adata.layers["counts"].dtype == np.int32
    assert adata.obs["cell_type"].nunique() == 10
    original = ad.read_h5ad(PBMC)
    total = original.obs["n_counts"].to_numpy()[:, None]
    again = np.log1p(adata.layers["counts"].toarray() * 1e4 / total)
    np.testing.assert_allclose(again, original.raw.X.toarray(), atol=1e-3)


def test_counts_that_are_not_whole_are_refused(tmp_path):
    adata = ad.read_h5ad(PBMC)
    adata.obs["n_counts"] *= 1.05
    adata.write_h5ad(tmp_path / "off.h5ad")
    with pytest.raises(UserError, match="are not whole numbers"):
        read_pbmc68k_reduced(tmp_path / "off.h5ad")


def test_digits_are_those_of_scikit_learn():
    adata = read_digits(DIGITS)
    digits = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), digits.data)
    np.testing.assert_array_equal(adata.obs["cell_type"].astype(int), digits.target)


def test_a_table_that_is_not_digits_is_refused(tmp_path):
    with gzip.open(tmp_path / "table.gz", "wt") as file:
        file.write("1,2,3\n4,5,6\n")
    with pytest.raises(UserError, match=r"shape \(2, 3\)"):
        read_digits(tmp_path / "table.gz")


def test_fetch_copies_a_file_with_the_right_checksum_only(tmp_path, raw_config):
    source = raw_config["datasets"]["digits"]["source"]
    fetch_embedded(**source, destination=tmp_path / "digits")
    assert (tmp_path / "digits").read_bytes() == DIGITS.read_bytes()
    for change, words in [
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"file": "absent"}, "ships no file 'absent'"),
        ({"package": "absent"}, "'absent' is not installed"),
    ]:
        with pytest.raises(UserError, match=words):
            fetch_embedded(**{**source, **change}, destination=tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_quality_control_filters_by_each_threshold(cells):
    assert quality_control(cells).shape == (4, 5)
    assert list(quality_control(cells, min_genes=2).obs_names) == ["w", "x", "y"]
    assert list(quality_control(cells, max_genes=4).obs_names) == ["z"]
    assert list(quality_control(cells, min_cells=2).var_names) == ["A", "B", "C", "E"]
    assert list(quality_control(cells, max_percent_mito=5).obs_names) == ["w", "x", "z"]
    with pytest.raises(UserError, match="leaves 0 of 4 cells"):
        quality_control(cells, min_genes=9)


def test_genes_are_counted_in_cells_that_passed_min_genes(cells):
    assert "C" in quality_control(cells, min_cells=4).var_names
    assert quality_control(cells, min_genes=2, min_cells=3).var_names.tolist() == ["A", "C", "E"]


def test_log_normalisation_follows_its_formula(cells):
    counts = cells.layers["counts"].toarray()
    result = preprocess(cells, {}, "log", target_sum=100)
    np.testing.assert_allclose(result.X.toarray(), np.log1p(counts / counts.sum(1, keepdims=True) * 100), rtol=1e-6)
    np.testing.assert_array_equal(result.layers["counts"].toarray(), counts)
    assert result.X.dtype == np.float32


def test_without_normalisation_values_stay(cells):
    np.testing.assert_array_equal(preprocess(cells, {}, "none").X.toarray(), cells.layers["counts"].toarray())


def test_highly_variable_genes_are_those_of_scanpy():
    adata = read_pbmc68k_reduced(PBMC)
    result = preprocess(adata, {}, n_top_genes=100)
    everything = preprocess(adata, {})
    scanpy.pp.highly_variable_genes(everything, n_top_genes=100)
    assert list(result.var_names) == list(everything.var_names[everything.var["highly_variable"]])
    with pytest.raises(UserError, match="n_top_genes is 9999"):
        preprocess(adata, {}, n_top_genes=9999)


def test_the_report_s_quality_control_gives_its_cells_and_genes(data_dir):
    raw = ad.read_h5ad(data_dir / "pbmc3k_raw.h5ad")
    mito = np.asarray(raw.X[:, raw.var_names.str.startswith("MT-")].sum(1)).ravel()
    raw.obs["pct_counts_mt"] = 100 * mito / np.asarray(raw.X.sum(1)).ravel()
    raw.layers["counts"] = sparse.csr_matrix(raw.X, dtype=np.int32)
    result = preprocess(raw, {"min_genes": 200, "max_genes": 2500, "min_cells": 3, "max_percent_mito": 5})
    assert result.shape == (2638, 13714)
