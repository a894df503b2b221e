"""Quality control, hold-out, normalisation, gene selection and scaling, and that nothing leaks from
cells held out.
"""

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy
from helpers import job
from scipy import sparse

from sclatent.clustering.of_dataset import data_clusters
from sclatent.common.determinism import make_deterministic
from sclatent.common.errors import LeakError, UserError
from sclatent.config.datasets import Clusters, Holdout, QualityControl, Scale
from sclatent.config.models import Training
from sclatent.data import preprocess as module
from sclatent.data.ingest import ingest
from sclatent.data.preprocess import hold_out, preprocess, quality_control
from sclatent.data.readers.registry import read
from sclatent.io import blocks
from sclatent.io.expression import check_none_held_out, read_values
from sclatent.io.matrices import read_large_matrix, read_matrix, write_matrix
from sclatent.io.tables import read_table, write_table

PBMC = Path(scanpy.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
AS_IT_IS = {"annotation": None, "columns": {}, "control": None, "keep": {}, "drop": {}}
FLAVORS = ["seurat", "cell_ranger", "seurat_v3"]


@pytest.fixture(scope="module")
def pbmc_counts():
    """The counts of pbmc68k_reduced: 700 cells, 765 genes."""
    return ingest(read("pbmc68k_reduced", {"counts": [PBMC]}), **AS_IT_IS)


@pytest.fixture
def pbmc(pbmc_counts):
    """A copy of these counts."""
    return pbmc_counts.copy()


@pytest.fixture
def split_pbmc(pbmc):
    """These counts with every fifth cell held out."""
    pbmc.obs["split"] = np.where(np.arange(pbmc.n_obs) % 5 == 0, "held_out", "train")
    return pbmc


def passed(adata, **thresholds):
    """The cells and genes that pass quality control."""
    cells, genes, *_ = quality_control(adata, QualityControl(**thresholds))
    return adata[cells, genes]


def training_of(adata):
    return adata[(adata.obs["split"] == "train").to_numpy()]


@pytest.fixture
def cells():
    """Four cells and five genes; the last cell has one detected gene, the fourth gene is in one
    cell.
    """
    counts = sparse.csr_matrix(
        np.array(
            [[1, 2, 3, 0, 1], [2, 0, 1, 4, 1], [5, 1, 1, 0, 2], [0, 0, 7, 0, 0]], dtype=np.int32
        )
    )
    obs = {
        "cell_type": pd.Categorical(list("aabb")),
        "pct_counts_mt": [1.0, 2.0, 30.0, 1.0],
        "split": "train",
    }
    obs = pd.DataFrame(obs, index=list("wxyz"))
    return ad.AnnData(obs=obs, var=pd.DataFrame(index=list("ABCDE")), layers={"counts": counts})


def test_quality_control_filters_by_each_threshold(cells):
    assert passed(cells).shape == (4, 5)
    assert list(passed(cells, min_genes=2).obs_names) == ["w", "x", "y"]
    assert list(passed(cells, max_genes=4).obs_names) == ["z"]
    assert list(passed(cells, min_cells=2).var_names) == ["A", "B", "C", "E"]
    assert list(passed(cells, max_percent_mito=5).obs_names) == ["w", "x", "z"]
    with pytest.raises(UserError, match="leaves 0 of 4 cells"):
        passed(cells, min_genes=9)


def test_genes_are_counted_in_cells_that_passed_min_genes(cells):
    assert "C" in passed(cells, min_cells=4).var_names
    assert passed(cells, min_genes=2, min_cells=3).var_names.tolist() == ["A", "C", "E"]


def test_log_normalisation_follows_its_formula(cells):
    counts = cells.layers["counts"].toarray()
    result, *_ = preprocess(cells, QualityControl(), "log", target_sum=100)
    np.testing.assert_allclose(
        result.X.toarray(), np.log1p(counts / counts.sum(1, keepdims=True) * 100), rtol=1e-6
    )
    np.testing.assert_array_equal(result.layers["counts"].toarray(), counts)
    assert result.X.dtype == np.float32


def test_without_normalisation_values_stay(cells):
    np.testing.assert_array_equal(
        preprocess(cells, QualityControl(), "none")[0].X.toarray(), cells.layers["counts"].toarray()
    )


def test_log_normalisation_is_that_of_scanpy_to_the_last_bit(pbmc):
    counts = pbmc.layers["counts"].toarray()
    counts[0, :3] = 2**30  # a total that single precision cannot hold
    pbmc.layers["counts"] = sparse.csr_matrix(counts)
    result, *_ = preprocess(pbmc, QualityControl(), target_sum=1e4)
    expected = ad.AnnData(pbmc.layers["counts"].astype(np.float32))
    scanpy.pp.normalize_total(expected, target_sum=1e4)
    scanpy.pp.log1p(expected)
    assert same_bytes(result.X, expected.X)


def test_a_cell_without_counts_stays_without(cells):
    cells.layers["counts"] = sparse.csr_matrix(
        cells.layers["counts"].multiply([[1], [1], [1], [0]]), dtype=np.int32
    )
    assert (preprocess(cells, QualityControl())[0].X.toarray()[3] == 0).all()


def test_unit_normalisation_takes_bytes_to_one(cells):
    cells.layers["counts"] = cells.layers["counts"] * 30
    result, *_ = preprocess(cells, QualityControl(), "unit")
    np.testing.assert_allclose(
        result.X.toarray(), cells.layers["counts"].toarray() / 255, rtol=1e-6
    )
    assert result.X.dtype == np.float32


def test_measures_of_cells_are_those_of_scanpy(pbmc):
    source = ad.AnnData(
        pbmc.layers["counts"], obs=pbmc.obs[["cell_type"]], var=pbmc.var, uns={"labelled": True}
    )
    source.var_names = [f"MT-{name}" if i < 5 else name for i, name in enumerate(source.var_names)]
    counts = ingest(source, **AS_IT_IS)
    *_, table = preprocess(counts.copy(), QualityControl(min_cells=100))
    counts.var["mt"] = counts.var_names.str.startswith("MT-")
    counts.X = counts.layers["counts"]
    scanpy.pp.calculate_qc_metrics(counts, qc_vars=["mt"], inplace=True, percent_top=None)
    assert list(table["cell"]) == list(counts.obs_names)
    np.testing.assert_array_equal(table["n_genes"], counts.obs["n_genes_by_counts"])
    np.testing.assert_array_equal(table["total_counts"], counts.obs["total_counts"])
    np.testing.assert_allclose(table["pct_counts_mt"], counts.obs["pct_counts_mt"], rtol=1e-6)
    assert table["pct_counts_mt"].max() > 0


def test_tables_say_what_each_step_left_and_why_a_cell_went(cells, tmp_path):
    thresholds = {"min_genes": 2, "min_cells": 2, "max_genes": 4, "max_percent_mito": 5}
    *_, steps, measures = quality_control(cells, QualityControl(**thresholds))
    write_table(steps, tmp_path / "qc.tsv", "qc", {})
    write_table(measures, tmp_path / "qc_cells.tsv", "qc_cells", {})
    steps, measures = (
        read_table(tmp_path / "qc.tsv", "qc"),
        read_table(tmp_path / "qc_cells.tsv", "qc_cells"),
    )
    assert steps.to_numpy().tolist() == [
        ["nothing", 4, 5],
        ["fewer than 2 genes", 3, 5],
        ["genes in fewer than 2 cells", 3, 4],
        ["4 genes or more", 1, 4],
        ["5 % mitochondrial or more", 1, 4],
    ]
    assert list(measures["n_genes"]) == [4, 4, 4, 1]
    assert list(measures["total_counts"]) == [7, 8, 9, 7]
    assert list(measures["pct_counts_mt"]) == [1, 2, 30, 1]
    assert measures["removed"].fillna("").tolist() == [
        "4 genes or more",
        "",
        "4 genes or more",
        "fewer than 2 genes",
    ]
    _, _, _, measures = quality_control(cells, QualityControl(max_percent_mito=5))
    assert measures["removed"].isna().tolist() == [True, True, False, True]
    assert measures["removed"][2] == "5 % mitochondrial or more"


def test_a_cell_type_left_with_one_cell_is_refused_with_the_cell_and_the_cure(cells):
    cells.obs["cell_type"] = pd.Categorical(["many", "many", "alone", "removed"])
    with pytest.raises(
        UserError, match=r"the cell_type 'alone' \(cell y\).*with drop and its column: \[alone\]"
    ):
        preprocess(cells, QualityControl(min_genes=2))


def test_a_condition_left_with_one_level_is_refused_with_the_cure(cells):
    cells.obs["condition"] = pd.Categorical(["ctrl", "ctrl", "stim", "stim"])
    assert preprocess(cells.copy(), QualityControl())[0].n_obs == 4
    with pytest.raises(
        UserError, match=r"have the condition 'ctrl'; leave columns.condition and control out"
    ):
        preprocess(cells[:3].copy(), QualityControl(max_genes=5, max_percent_mito=5))


def test_cells_held_out_that_quality_control_removes_are_missed(cells):
    cells.obs["condition"] = pd.Categorical(["ctrl", "ctrl", "stim", "ctrl"])
    cells.obs["cell_type"] = "a"
    cells.obs["cell_type"] = cells.obs["cell_type"].astype("category")
    holdout = Holdout(cells={"condition": ["stim"]})
    assert preprocess(cells.copy(), QualityControl(), holdout=holdout)[0].n_obs == 4
    del cells.obs["condition"]
    cells.obs["batch"] = pd.Categorical(["1", "1", "2", "1"])
    with pytest.raises(UserError, match="removes every cell that is held out"):
        preprocess(
            cells, QualityControl(max_percent_mito=5), holdout=Holdout(cells={"batch": ["2"]})
        )


def test_a_filter_by_mitochondria_needs_their_genes(cells):
    cells.obs["pct_counts_mt"] = np.nan
    assert passed(cells).shape == (4, 5)
    with pytest.raises(UserError, match=r"no gene is named MT-.*columns\.gene"):
        passed(cells, max_percent_mito=5)


def test_a_cell_without_a_label_is_refused_or_dropped(cells):
    cells.obs["cell_type"] = pd.Categorical(["a", None, "a", "rare"])
    with pytest.raises(
        UserError,
        match=r"1 of the 4 cells .* no cell_type \(the first: x\); .*drop_unlabelled: true",
    ):
        preprocess(cells.copy(), QualityControl())
    result, _, measures = preprocess(
        cells.copy(), QualityControl(min_genes=2), drop_unlabelled=True
    )
    assert list(result.obs_names) == ["w", "y"]
    assert list(result.obs["cell_type"].cat.categories) == ["a"]
    assert measures["removed"][1] == "without cell_type"
    cells.obs["cell_type"] = pd.Categorical(["a", "a", "a", None])
    assert preprocess(cells, QualityControl(min_genes=2))[0].n_obs == 3, (
        "quality control removes the cell before its label is missed"
    )


@pytest.fixture
def labels():
    """The labels of 84 cells: 20, 50 and 14 of three types, half of each in either condition."""
    cell_type = ["CD4 T"] * 20 + ["CD8 T"] * 50 + ["B"] * 14
    obs = {
        "cell_type": pd.Categorical(cell_type),
        "condition": pd.Categorical(["ctrl", "stim"] * 42),
    }
    return pd.DataFrame(obs, index=[f"cell_{i}" for i in range(84)])


def test_a_share_is_held_out_of_each_stratum(labels):
    def held(**settings):
        split = hold_out(labels, Holdout(**settings))
        assert list(split.index) == list(labels.index)
        return labels[split == "held_out"]

    assert len(held(share=0.1)) == 8
    assert dict(held(share=0.2, stratify=["cell_type"])["cell_type"].value_counts()) == {
        "CD4 T": 4,
        "CD8 T": 10,
        "B": 3,
    }
    both = held(share=0.2, stratify=["cell_type", "condition"]).value_counts()
    assert sorted(both) == [1, 1, 2, 2, 5, 5]


@pytest.mark.parametrize("stratify", [[], ["cell_type"]])
def test_the_seed_alone_says_which_cells_are_held_out(labels, stratify):
    one, same, other = (
        hold_out(labels, Holdout(share=0.25, stratify=stratify, seed=seed)) for seed in (1, 1, 2)
    )
    assert one.equals(same)
    assert not one.equals(other)


def test_cells_are_held_out_by_their_labels(labels):
    held = (
        hold_out(labels, Holdout(cells={"cell_type": ["B", "CD4 T"], "condition": ["stim"]}))
        == "held_out"
    )
    expected = labels["cell_type"].isin(["B", "CD4 T"]) & (labels["condition"] == "stim")
    assert held.equals(expected)
    assert held.sum() == 17


def test_treated_cells_of_the_types_asked_for_are_held_out_of_every_treatment(labels):
    labels["condition"] = pd.Categorical(["ctrl", "stim", "other"] * 28)
    held = hold_out(labels, Holdout(treated=["B", "CD4 T"]), control="ctrl") == "held_out"
    expected = labels["cell_type"].isin(["B", "CD4 T"]) & (labels["condition"] != "ctrl")
    assert held.equals(expected)
    assert set(labels.loc[held, "condition"]) == {"stim", "other"}


def test_treated_cells_are_held_out_by_the_control_of_the_data(cells):
    cells.obs["cell_type"] = pd.Categorical(["a", "a", "b", "b"])
    cells.obs["condition"] = pd.Categorical(["before", "after", "before", "after"])
    cells.uns["control"] = "before"
    result, *_ = preprocess(cells, QualityControl(), holdout=Holdout(treated=["b"]))
    assert list(result.obs["split"]) == ["train", "train", "train", "held_out"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"share": 0.5, "stratify": ["batch"]},
            "the label batch, which the data lack; name its column",
        ),
        ({"cells": {"batch": ["1"]}}, "the label batch, which the data lack; name its column"),
        (
            {"cells": {"cell_type": ["CD4T"]}},
            "no cell has the cell_type 'CD4T'; did you mean 'CD4 T'",
        ),
        (
            {"treated": ["CD4T"]},
            "no cell has the cell_type 'CD4T'; did you mean 'CD4 T'",
        ),
        ({"share": 0.001}, "takes 0 of 84 cells; it must take some"),
        (
            {"cells": {"condition": ["ctrl", "stim"]}},
            "takes 84 of 84 cells; it must take some and leave some",
        ),
    ],
)
def test_a_holdout_that_does_not_fit_is_refused(labels, settings, words):
    with pytest.raises(UserError, match=words):
        hold_out(labels, Holdout(**settings))


def test_the_test_set_of_the_source_is_held_out_unless_another_is_asked_for(cells):
    own = pd.Categorical(["train", "train", "held_out", "train"])
    cells.obs["split"] = own
    source = ad.AnnData(
        cells.layers["counts"], obs=cells.obs, var=cells.var, uns={"labelled": True}
    )
    assert list(preprocess(ingest(source, **AS_IT_IS), QualityControl())[0].obs["split"]) == list(
        own
    )
    other = Holdout(cells={"cell_type": ["a"]})
    result, *_ = preprocess(ingest(source, **AS_IT_IS), QualityControl(), holdout=other)
    assert list(result.obs["split"]) == ["held_out", "held_out", "train", "train"]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_highly_variable_genes_are_those_of_scanpy_on_training_cells(split_pbmc, flavor):
    training = training_of(split_pbmc).copy()
    result, *_ = preprocess(split_pbmc, QualityControl(), n_top_genes=100, flavor=flavor)
    training.X = training.layers["counts"].astype(np.float32)
    scanpy.pp.normalize_total(training, target_sum=1e4)
    scanpy.pp.log1p(training)
    layer = "counts" if flavor == "seurat_v3" else None
    scanpy.pp.highly_variable_genes(training, n_top_genes=100, flavor=flavor, layer=layer)
    assert list(result.var_names) == list(training.var_names[training.var["highly_variable"]])
    assert result.n_obs == 700


def test_more_genes_than_there_are_cannot_be_chosen(pbmc):
    with pytest.raises(
        UserError, match=r"n_top_genes is 9999, but quality control left 765 genes; lower it"
    ):
        preprocess(pbmc, QualityControl(), n_top_genes=9999)


def test_the_report_s_quality_control_gives_its_cells_and_genes(data_dir, raw_config):
    counts = ingest(read("h5ad", {"counts": [data_dir / "pbmc3k_raw.h5ad"]}), **AS_IT_IS)
    result, steps, _ = preprocess(counts, QualityControl(**raw_config["datasets"]["pbmc3k"]["qc"]))
    assert result.shape == (2638, 13714)
    assert list(steps["n_cells"]) == [2700, 2700, 2700, 2695, 2638]
    raw = ad.read_h5ad(data_dir / "pbmc3k_raw.h5ad")[result.obs_names, result.var_names].X.astype(
        np.float64
    )
    expected = raw.multiply(1e4 / raw.sum(axis=1)).log1p()
    assert abs(result.X - expected).max() < 1e-5


def write_and_read(result, path):
    """The values of a preprocessed data set as training reads them from its file."""
    write_matrix(result, path, "preprocessed", {})
    return read_values(path)


def test_scaling_is_that_of_scanpy_fitted_on_training_cells(split_pbmc, tmp_path):
    held_out = (split_pbmc.obs["split"] == "held_out").to_numpy()
    split_pbmc.layers["counts"] = sparse.csr_matrix(
        changed(split_pbmc.layers["counts"], held_out, "a gene of their own")
    )
    result, *_ = preprocess(split_pbmc, QualityControl(), scale=Scale(max_value=10))
    values = write_and_read(result, tmp_path / "x.h5ad")
    expected = ad.AnnData(training_of(result).X.toarray().astype(np.float64))
    scanpy.pp.scale(expected, max_value=10)
    np.testing.assert_allclose(values.dense(values.training), expected.X, rtol=1e-4, atol=1e-5)
    mean, std = (expected.var[name].to_numpy() for name in ("mean", "std"))
    everything = np.clip((result.X.toarray() - mean) / std, -10, 10)
    np.testing.assert_allclose(values.dense(), everything, rtol=1e-4, atol=1e-5)
    assert values.dense().dtype == np.float32
    assert values.dense().max() == 10
    assert result.var["std"].iloc[0] == 0
    np.testing.assert_array_equal(
        values.dense()[:, 0], np.minimum(result.X[:, [0]].toarray().ravel(), 10)
    )


def test_without_a_limit_scaled_values_are_not_clipped(split_pbmc, tmp_path):
    result, *_ = preprocess(split_pbmc, QualityControl(), scale=Scale())
    values = write_and_read(result, tmp_path / "x.h5ad")
    assert values.max_value == np.inf
    x, var = result.X.toarray(), result.var
    expected = (x - var["mean"].to_numpy()) / np.where(var["std"] == 0, 1, var["std"])
    np.testing.assert_allclose(values.dense(), expected, rtol=1e-6)
    assert values.dense().max() > 10


def test_a_constant_gene_of_many_cells_has_no_deviation():
    constants = np.random.default_rng(0).lognormal(0, 3, size=50).astype(np.float32)
    mean, std = blocks.mean_and_std(sparse.csr_matrix(np.tile(constants, (20_000, 1))))
    assert (std == 0).all()
    np.testing.assert_allclose(mean, constants, rtol=1e-12)


def changed(counts, held_out, how, seed=0):
    """The counts (dense) with those of cells held out changed in a way."""
    rng = np.random.default_rng(seed)
    counts = counts.toarray()
    of_held_out = counts[held_out]
    counts[held_out] = {
        "none": lambda: np.zeros_like(of_held_out),
        "huge": lambda: of_held_out * rng.integers(1, 2**18, size=(len(of_held_out), 1)),
        "of other genes": lambda: rng.permuted(of_held_out, axis=1),
        "every gene": lambda: of_held_out + 1,
        "noise": lambda: rng.poisson(rng.gamma(0.3, 3, size=of_held_out.shape)),
        "a gene of their own": lambda: of_held_out,
    }[how]()
    if how == "a gene of their own":
        counts[:, 0] = np.where(held_out, 7, 0)
    return counts


@pytest.mark.parametrize("flavor", FLAVORS)
def test_counts_of_cells_held_out_change_nothing_that_is_learnt(split_pbmc, flavor):
    held_out = (split_pbmc.obs["split"] == "held_out").to_numpy()

    def learnt(counts):
        adata = split_pbmc.copy()
        adata.layers["counts"] = sparse.csr_matrix(counts)
        settings = {"n_top_genes": 200, "flavor": flavor, "scale": Scale(max_value=10)}
        result, *_ = preprocess(adata, QualityControl(min_cells=30), **settings)
        return list(result.var_names), result.var.to_numpy().tobytes(), training_of(result).X

    names, statistics, x = learnt(split_pbmc.layers["counts"].toarray())
    assert len(names) == 200
    for how in ("none", "huge", "of other genes", "every gene", "noise"):
        for seed in (0, 1) if how in ("huge", "noise") else (0,):
            others = learnt(changed(split_pbmc.layers["counts"], held_out, how, seed))
            assert others[0] == names, how
            assert others[1] == statistics, how
            assert same_bytes(others[2], x), how


ROUTES = {
    "gene selection": (
        "_training_cells",
        lambda adata: adata,
        {"n_top_genes": 100},
        QualityControl(),
        "choice of genes",
    ),
    "min_cells": (
        "detected_per_column",
        lambda counts, rows: blocks.detected_per_column(counts, np.ones_like(rows)),
        {},
        QualityControl(min_cells=100),
        "choice of genes",
    ),
    "scaling": (
        "_training_cells",
        lambda adata: adata,
        {"scale": Scale(max_value=10)},
        QualityControl(),
        "took part in scaling",
    ),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_run_notices_a_leak(split_pbmc, monkeypatch, route, flavor):
    name, leaky, settings, qc, words = ROUTES[route]
    preprocess(split_pbmc.copy(), qc, flavor=flavor, **settings)
    monkeypatch.setattr(module, name, leaky)
    with pytest.raises(LeakError, match=words):
        preprocess(split_pbmc, qc, flavor=flavor, **settings)


def test_a_cell_held_out_is_named_before_it_is_trained_on(split_pbmc, tmp_path):
    result, *_ = preprocess(split_pbmc, QualityControl())
    values = write_and_read(result, tmp_path / "x.h5ad")
    check_none_held_out(values.cells[values.training], tmp_path / "x.h5ad")
    assert values.training.sum() == 560
    with pytest.raises(
        LeakError, match=f"1 cells held out reached training, the first {values.cells[5]}"
    ):
        check_none_held_out(values.cells[4:9], tmp_path / "x.h5ad")


def test_a_training_that_would_see_cells_held_out_stops(split_pbmc, tmp_path, monkeypatch):
    import train  # imports torch, which no other test here needs

    write_and_read(preprocess(split_pbmc, QualityControl(), n_top_genes=50)[0], tmp_path / "x.h5ad")
    settings = {
        "family": "pca",
        "hyperparameters": {"latent_dim": 2},
        "input": {},
        "training": Training().model_dump(),
        "share": None,
    }
    told = {"condition": None, "labels": None, "labelled": None}
    output = {
        "weights": tmp_path / "w.safetensors",
        "run": tmp_path / "run.json",
        "history": tmp_path / "history.tsv",
    }
    files, params = (
        dict.fromkeys(("data", "split"), tmp_path / "x.h5ad"),
        {"settings": settings, "told": told, "threads": 1},
    )
    training = job("train", files, output, params, {"dataset": "x", "model": "m", "seed": "0"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        train, "make_deterministic", lambda seed, threads: None
    )  # it sets torch for the whole process
    with monkeypatch.context() as patch:

        def everything(path, counts):
            return replace(read_values(path), training=np.ones(700, dtype=bool))

        patch.setattr("sclatent.training.labelled.read_values", everything)
        with pytest.raises(LeakError, match="140 cells held out reached training"):
            train.main(training)
    assert not any(path.exists() for path in output.values())
    train.main(training)
    assert all(path.exists() for path in output.values())


def same_bytes(one, other):
    """Whether two CSR matrices are the same to the last bit; the integers of their indices may be
    of other width.
    """
    same = [
        np.array_equal(getattr(one, part), getattr(other, part))
        for part in ("data", "indices", "indptr")
    ]
    return one.shape == other.shape and one.dtype == other.dtype and all(same)


def through_files(source, folder, columns=None, **settings):
    """Ingest, write, read, preprocess and write a data set as the scripts do, and return what the
    last file holds.
    """
    folder.mkdir()
    counts = ingest(source, **{**AS_IT_IS, "columns": columns or {}})
    write_matrix(counts, folder / "counts.h5ad", "counts", {})
    result, *tables = preprocess(read_large_matrix(folder / "counts.h5ad"), **settings)
    lazy = blocks.is_lazy(result.X)
    write_matrix(result, folder / "preprocessed.h5ad", "preprocessed", {})
    return (
        read_matrix(folder / "preprocessed.h5ad"),
        read_values(folder / "preprocessed.h5ad"),
        tables,
        lazy,
    )


def check_both_paths_agree(read_source, tmp_path, monkeypatch, block=300, **settings):
    """Check that a data set comes out the same in memory and lazily, with few enough rows a block
    to have several.
    """
    monkeypatch.setattr(blocks, "BLOCK", block)
    one, values, tables, lazy = through_files(read_source(), tmp_path / "memory", **settings)
    assert not lazy
    monkeypatch.setattr(blocks, "LARGE", 1000)
    other, lazy_values, lazy_tables, lazy = through_files(
        read_source(), tmp_path / "lazy", **settings
    )
    assert lazy
    assert same_bytes(one.X, other.X)
    assert same_bytes(one.layers["counts"], other.layers["counts"])
    assert values.x.data.tobytes() == lazy_values.x.data.tobytes()
    assert values.x.indices.tobytes() == lazy_values.x.indices.tobytes()
    pd.testing.assert_frame_equal(one.obs, other.obs, check_exact=True)
    pd.testing.assert_frame_equal(one.var, other.var, check_exact=True)
    assert one.uns == other.uns
    for table, lazy_table in zip(tables, lazy_tables, strict=True):
        pd.testing.assert_frame_equal(table, lazy_table, check_exact=True)
    return one


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_a_large_matrix_gives_what_it_gives_in_memory(
    data_dir, raw_config, tmp_path, monkeypatch, flavor
):
    settings = {
        "qc": QualityControl(**raw_config["datasets"]["pbmc3k"]["qc"]),
        "n_top_genes": 2000,
        "flavor": flavor,
        "scale": Scale(max_value=10),
    }
    settings |= {"holdout": Holdout(share=0.1), "columns": {"cell_type": "okunator_cell_type"}}
    files = {"counts": [data_dir / "pbmc3k_raw.h5ad"]}
    result = check_both_paths_agree(
        lambda: read("h5ad", files), tmp_path, monkeypatch, block=1000, **settings
    )
    assert result.shape == (2638, 2000)


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_a_small_matrix_read_by_blocks_gives_what_it_gives_in_memory(tmp_path, monkeypatch, flavor):
    settings = {
        "n_top_genes": 200,
        "flavor": flavor,
        "scale": Scale(),
        "holdout": Holdout(share=0.1),
    }
    settings |= {"qc": QualityControl(min_cells=5, max_genes=250)}
    files = {"counts": [PBMC]}
    check_both_paths_agree(
        lambda: read("pbmc68k_reduced", files), tmp_path, monkeypatch, **settings
    )


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_cells_with_huge_totals_and_with_none_are_the_same_lazily(
    pbmc, tmp_path, monkeypatch, form
):
    counts = pbmc.layers["counts"].toarray().astype(np.float64)
    counts[:600] *= np.random.default_rng(0).integers(1, 2**18, size=(600, 1))
    counts[-1] = 0
    x = sparse.csr_matrix(counts) if form == "csr" else counts
    ad.AnnData(x, obs=pbmc.obs[["cell_type"]], var=pbmc.var).write_h5ad(tmp_path / "x.h5ad")
    files = {"counts": [tmp_path / "x.h5ad"]}
    settings = {
        "columns": {"cell_type": "cell_type"},
        "qc": QualityControl(),
        "scale": Scale(max_value=10),
    }
    check_both_paths_agree(lambda: read("h5ad", files), tmp_path, monkeypatch, **settings)


@pytest.fixture
def lazy_pbmc(pbmc, tmp_path, monkeypatch):
    """The counts of pbmc68k_reduced, to be read block by block."""
    monkeypatch.setattr(blocks, "BLOCK", 300)
    monkeypatch.setattr(blocks, "LARGE", 1000)
    write_matrix(pbmc, tmp_path / "counts.h5ad", "counts", {})
    return read_large_matrix(tmp_path / "counts.h5ad")


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_the_check_for_leaks_compares_equal_sums_where_matrices_are_lazy(
    lazy_pbmc, monkeypatch, flavor
):
    tables = []
    original = scanpy.pp.highly_variable_genes

    def recorded(*arguments, **options):
        tables.append(original(*arguments, **options))
        return tables[-1]

    monkeypatch.setattr(scanpy.pp, "highly_variable_genes", recorded)
    preprocess(
        lazy_pbmc,
        QualityControl(max_genes=250),
        n_top_genes=100,
        flavor=flavor,
        holdout=Holdout(share=0.3),
    )
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_seurat_v3_is_refused_where_the_counts_are_too_many(lazy_pbmc):
    with pytest.raises(
        UserError, match=r"seurat_v3 takes all counts into memory.*to seurat or cell_ranger"
    ):
        preprocess(lazy_pbmc.copy(), QualityControl(), n_top_genes=100, flavor="seurat_v3")
    settings = Clusters(n_top_genes=100).model_dump()
    with pytest.raises(UserError, match="that of clusters, if labels are derived"):
        data_clusters(preprocess(lazy_pbmc, QualityControl())[0], **settings)


def test_labels_of_a_large_matrix_are_those_derived_in_memory(pbmc, lazy_pbmc):
    settings = Clusters(n_top_genes=300, flavor="seurat").model_dump()
    found = []
    for counts in (pbmc, lazy_pbmc):
        make_deterministic(0, threads=2)
        found.append(data_clusters(preprocess(counts, QualityControl())[0], **settings))
    np.testing.assert_array_equal(*found)
    assert found[0].max() > 1


def test_a_value_of_a_large_matrix_that_is_not_finite_is_not_written(lazy_pbmc, tmp_path):
    for bad in (np.nan, np.inf):
        result, *_ = preprocess(lazy_pbmc.copy(), QualityControl())

        def spoil(block, bad=bad):
            block = block.copy()
            if block.shape[0] == 100:  # the last block alone, of 700 rows in blocks of 300
                block.data[-1] = bad
            return block

        result.X = blocks.map_blocks(result.X, spoil, np.float32)
        with pytest.raises(ValueError, match="X holds values that are not finite"):
            write_matrix(result, tmp_path / "x.h5ad", "preprocessed", {})
        assert not (tmp_path / "x.h5ad").exists()
