"""Whatever form counts and labels come in, they come out the same; what would spoil a result is
refused in one line.
"""

import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from helpers import write_by_hand
from scipy import sparse

from sclatent.common.errors import UserError
from sclatent.common.vocabulary import ALL, OVER_GROUPS, OVER_TYPES, UNNAMED
from sclatent.config.datasets import QualityControl
from sclatent.data.ingest import ingest, percent_mito
from sclatent.data.preprocess import preprocess
from sclatent.data.readers.registry import read, read_annotation
from sclatent.io import blocks
from sclatent.io.blocks import is_lazy
from sclatent.io.matrices import read_large_matrix, read_matrix, write_matrix

N_CELLS, N_GENES = 12, 6
COUNTS = np.random.default_rng(0).poisson(2, (N_CELLS, N_GENES)).astype(np.int32)
COUNTS[0], COUNTS[1, 0] = 0, 1  # a cell without counts
CELLS = [f"cell_{i}" for i in range(N_CELLS)]
GENES = ["CD3E", "MT-CO1", "NKG7", "mt-Nd1", "LYZ", "Mt-atp6"]
TYPES = ["B", "T", "NK"] * 4
CONDITIONS = ["ctrl"] * 6 + ["stim"] * 6
LABELLED = {"cell_type": "type", "condition": "treatment", "batch": "donor"}


def source(counts=COUNTS, genes=GENES, cells=CELLS, **columns):
    """What a reader returns; columns replace those of obs, or add to them."""
    obs = {"type": TYPES, "treatment": CONDITIONS, "donor": ["d1", "d2"] * 6, **columns}
    obs = pd.DataFrame(
        {name: values for name, values in obs.items() if values is not None}, index=cells
    )
    values = counts if sparse.issparse(counts) else sparse.csr_matrix(counts)
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=genes))


def ingested(adata=None, annotation=None, columns=None, control=None, keep=None, drop=None):
    """Ingest with the cell type named, unless other columns are given."""
    columns = {"cell_type": "type"} if columns is None else columns
    return ingest(
        source() if adata is None else adata, annotation, columns, control, keep or {}, drop or {}
    )


def refusal(*arguments, **options) -> str:
    """The message of the UserError that ingest ends in, which must be one line."""
    with pytest.raises(UserError) as caught:
        ingested(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written_and_read(adata, path):
    """An AnnData after it was written to a file of the kind counts."""
    write_matrix(adata, path, "counts", {})
    return read_matrix(path)


def changed(value, row=2, column=4, dtype=np.float64):
    """The counts with one value changed; by default the one of LYZ in cell_2."""
    counts = COUNTS.astype(dtype)
    counts[row, column] = value
    return counts


# Counts


def test_labels_and_counts_come_out_under_fixed_names(tmp_path):
    adata = ingested(columns=LABELLED, control="ctrl")
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), COUNTS)
    assert adata.X is None
    assert list(adata.obs) == ["cell_type", "condition", "batch", "pct_counts_mt"]
    assert list(adata.obs["cell_type"]) == TYPES
    assert list(adata.obs["condition"]) == CONDITIONS
    assert adata.uns["control"] == "ctrl"
    again = written_and_read(adata, tmp_path / "counts.h5ad")
    pd.testing.assert_frame_equal(again.obs, adata.obs)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (1.5, "is not a whole number: 1.5"),
        (-1, "is negative: -1"),
        (np.nan, "is not finite: nan"),
        (np.inf, "is not finite: inf"),
        (-np.inf, "is not finite: -inf"),
        (2**31, "is larger than a count can be"),
        (1e300, "is larger than a count can be"),
    ],
)
def test_a_value_that_is_no_count_is_refused_by_gene_and_cell(value, fault):
    message = refusal(source(changed(value)))
    assert f"the count of gene LYZ in cell cell_2 {fault}" in message
    assert "give raw counts" in message


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64])
def test_counts_beyond_32_bits_are_refused_and_those_within_are_exact(dtype):
    assert "is larger than a count can be" in refusal(source(changed(2**31, dtype=dtype)))
    assert ingested(source(changed(2**31 - 1, dtype=dtype))).layers["counts"][2, 4] == 2**31 - 1


def test_the_first_value_that_is_no_count_is_named_in_later_blocks_and_among_kept_cells(
    monkeypatch,
):
    monkeypatch.setattr(blocks, "BLOCK", 4)
    message = refusal(source(changed(0.5, row=10)), drop={"type": ["NK"]})
    assert "gene LYZ in cell cell_10 is not a whole number" in message
    assert ingested(source(changed(0.5, row=2)), drop={"type": ["NK"]}).n_obs == 8


@pytest.mark.parametrize(
    "counts", [0 * COUNTS, sparse.csr_matrix(COUNTS.shape), sparse.csr_matrix(COUNTS) * 0]
)
def test_counts_that_are_all_zero_are_refused(counts):
    assert "all counts are zero" in refusal(source(counts))


def test_logarithms_given_as_counts_are_told_and_the_places_of_counts_named(tmp_path):
    counts = COUNTS[1:] + np.eye(11, 6, dtype=np.int32)
    logs = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    adata = source(
        logs.astype(np.float32), cells=CELLS[1:], type=TYPES[1:], treatment=None, donor=None
    )
    adata.layers["counts"], adata.raw = sparse.csr_matrix(counts), adata.copy()
    adata.write_h5ad(tmp_path / "a.h5ad")
    message = refusal(read("h5ad", {"counts": [tmp_path / "a.h5ad"]}))
    assert "is not a whole number" in message
    assert "the values look log-normalised to 10000 per cell" in message
    assert "(this file has: raw, counts)" in message
    np.testing.assert_array_equal(
        ingested(read("h5ad", {"counts": [tmp_path / "a.h5ad"]}, layer="counts"))
        .layers["counts"]
        .toarray(),
        counts,
    )


def test_fractions_that_are_no_logarithms_of_even_totals_are_not_taken_for_such():
    assert "log-normalised to" not in refusal(source(COUNTS + 0.5))
    assert "log-normalised" not in refusal(source(changed(1000.5)))


@pytest.mark.parametrize("shape", [(0, 6), (12, 0), (0, 0)])
def test_data_without_cells_or_genes_are_refused(shape):
    adata = source()[: shape[0], : shape[1]].copy()
    assert f"the data hold {shape[0]} cells and {shape[1]} genes" in refusal(adata)


def test_genes_in_the_place_of_cells_are_refused_as_transposed():
    names = [f"ENSG{i:011d}" for i in range(13_714)]
    adata = ad.AnnData(sparse.csr_matrix((13_714, 20)), obs=pd.DataFrame(index=names))
    message = refusal(adata)
    assert (
        "the 13714 cells have names of genes (the first: ENSG00000000000, ENSG00000000001"
        in message
    )
    assert "transposed; give it with cells in rows" in message


@pytest.mark.parametrize("form", ["{}", "{}-1", "{}-12", "{}.1", "sample1_{}-1", "s:{}"])
def test_cells_in_the_place_of_genes_are_refused_as_transposed(form):
    names = [
        form.format("".join("ACGT"[(i >> 2 * j) % 4] for j in range(16))) for i in range(N_GENES)
    ]
    assert "the 6 genes have names of cells" in refusal(source(genes=names))


@pytest.mark.parametrize("gene", ["ENSMUSG00000051951", "ENSG00000000003.15"])
def test_a_few_names_of_genes_among_cells_are_no_transposed_matrix(gene):
    assert ingested(source(cells=[gene, *CELLS[1:]])).n_obs == N_CELLS
    assert "transposed" in refusal(source(cells=[gene] * 7 + CELLS[7:]))


def test_repeated_names_are_made_unique_with_a_warning(caplog):
    adata = ingested(source(genes=["A", "B", "A", "A", "B", "C"], cells=["x", "x", *CELLS[2:]]))
    assert list(adata.var_names) == ["A", "B", "A-1", "A-2", "B-1", "C"]
    assert list(adata.obs_names[:3]) == ["x", "x-1", "cell_2"]
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), COUNTS)
    assert "3 genes have the name of another (the first: A, B)" in caplog.text
    assert "1 cells have the name of another (the first: x)" in caplog.text


def test_names_that_making_unique_would_repeat_stay_apart():
    names = ingested(source(genes=["A", "A", "A-1", "B", "C", "D"])).var_names
    assert names.is_unique
    assert "A-1" in names


def test_unique_names_give_no_warning(caplog):
    ingested()
    assert not caplog.records


# Forms of the same counts


def forms():
    """The counts in every form that they may have in memory."""
    shuffled = sparse.csr_matrix(COUNTS)
    for start, stop in zip(shuffled.indptr, shuffled.indptr[1:], strict=False):
        shuffled.indices[start:stop] = shuffled.indices[start:stop][::-1].copy()
        shuffled.data[start:stop] = shuffled.data[start:stop][::-1].copy()
    shuffled.has_sorted_indices = False
    padded = sparse.csr_matrix(COUNTS + 1)
    padded.data -= 1
    rows, columns = np.nonzero(COUNTS)
    kept = COUNTS[rows, columns]
    halves = [np.concatenate([part, part]) for part in (rows, columns)]
    order = np.argsort(halves[0], kind="stable")
    indptr = np.searchsorted(halves[0][order], np.arange(N_CELLS + 1))
    split = np.concatenate([kept - 1, np.ones_like(kept)])[order]
    fractions = np.concatenate([kept / 2, kept / 2])[order]
    return {
        "csr": sparse.csr_matrix(COUNTS),
        "csc": sparse.csc_matrix(COUNTS),
        "csr array": sparse.csr_array(COUNTS),
        "dense": COUNTS,
        "fortran order": np.asfortranarray(COUNTS),
        **{
            np.dtype(dtype).name: sparse.csr_matrix(COUNTS.astype(dtype))
            for dtype in (np.int64, np.float64, np.float32, np.uint16)
        },
        "dense float32": COUNTS.astype(np.float32),
        "unsorted": shuffled,
        "explicit zeros": padded,
        "duplicates": sparse.csr_matrix((split, halves[1][order], indptr), shape=COUNTS.shape),
        "duplicates of fractions": sparse.csr_matrix(
            (fractions, halves[1][order], indptr), shape=COUNTS.shape
        ),
    }


@pytest.mark.parametrize("form", forms())
def test_every_form_of_the_counts_gives_the_same_csr(form):
    adata = source()
    adata.X = forms()[form]
    counts = ingested(adata).layers["counts"]
    expected = sparse.csr_matrix(COUNTS)
    assert isinstance(counts, sparse.csr_matrix)
    assert counts.dtype == np.int32
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, part), getattr(expected, part))


def test_a_sum_of_duplicates_that_its_type_cannot_hold_is_exact():
    values = sparse.csr_matrix(COUNTS.astype(np.uint16))
    values.data[-1] = 40_000
    double = sparse.csr_matrix(
        (
            np.append(values.data, np.uint16(40_000)),
            np.append(values.indices, values.indices[-1]),
            [*values.indptr[:-1], values.nnz + 1],
        ),
        shape=COUNTS.shape,
    )
    assert ingested(source(double)).layers["counts"].max() == 80_000


def test_dense_counts_are_stored_sparse_with_a_warning(caplog):
    adata = source()
    adata.X = COUNTS
    ingested(adata)
    assert "the matrix is dense" in caplog.text


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "block by block"])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
@pytest.mark.parametrize("dtype", ["<i4", ">i4", "<f4", ">f8", "<u2", "<f2", ">i8"])
def test_every_form_of_the_counts_in_a_file_gives_the_same_csr(
    tmp_path, monkeypatch, dtype, layout, large
):
    if large:
        monkeypatch.setattr(blocks, "LARGE", 5)
        monkeypatch.setattr(blocks, "BLOCK", 5)
    write_by_hand(
        tmp_path / "a.h5ad", source(), COUNTS, dtype, index_dtype=f"{dtype[0]}i4", layout=layout
    )
    adata = written_and_read(
        ingested(read("h5ad", {"counts": [tmp_path / "a.h5ad"]})), tmp_path / "counts.h5ad"
    )
    counts, expected = adata.layers["counts"], sparse.csr_matrix(COUNTS)
    assert counts.dtype == np.int32
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, part), getattr(expected, part))


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
def test_counts_read_block_by_block_give_the_same_file_as_in_memory(
    tmp_path, monkeypatch, dense, caplog
):
    adata = source(type=[*TYPES[:-1], None])
    adata.X = COUNTS.astype(np.float32) if dense else sparse.csr_matrix(COUNTS.astype(np.float32))
    adata.write_h5ad(tmp_path / "a.h5ad")
    results = {}
    for kind, large in (("whole", blocks.LARGE), ("lazy", 5)):
        monkeypatch.setattr(blocks, "LARGE", large)
        monkeypatch.setattr(blocks, "BLOCK", 5 if kind == "lazy" else 4096)
        caplog.clear()
        result = ingested(
            read("h5ad", {"counts": [tmp_path / "a.h5ad"]}),
            drop={"donor": ["d2"]},
            columns=LABELLED,
            control="ctrl",
        )
        assert is_lazy(result.layers["counts"]) == (kind == "lazy")
        assert ("the matrix is dense" in caplog.text) == dense
        write_matrix(result, tmp_path / f"{kind}.h5ad", "counts", {})
        results[kind] = read_matrix(tmp_path / f"{kind}.h5ad")
    np.testing.assert_array_equal(results["lazy"].layers["counts"].toarray(), COUNTS[::2])
    assert (results["lazy"].layers["counts"] != results["whole"].layers["counts"]).nnz == 0
    pd.testing.assert_frame_equal(results["lazy"].obs, results["whole"].obs)
    assert results["lazy"].uns["control"] == "ctrl"


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
def test_faults_are_found_block_by_block(tmp_path, monkeypatch, dense):
    monkeypatch.setattr(blocks, "LARGE", 5)
    monkeypatch.setattr(blocks, "BLOCK", 5)
    for value, fault in (
        (1.5, "is not a whole number"),
        (np.nan, "is not finite"),
        (2**31, "is larger than a count can be"),
    ):
        adata = source()
        adata.X = changed(value, row=11) if dense else sparse.csr_matrix(changed(value, row=11))
        adata.write_h5ad(tmp_path / "a.h5ad")
        lazy = read("h5ad", {"counts": [tmp_path / "a.h5ad"]})
        assert is_lazy(lazy.X)
        assert f"gene LYZ in cell cell_11 {fault}" in refusal(lazy)


def test_values_that_say_that_they_are_no_counts_stay_in_x(tmp_path):
    data = read("blobs", {}, n_vars=3, n_classes=2, n_cells=5)
    adata = written_and_read(ingested(data, columns={}), tmp_path / "counts.h5ad")
    np.testing.assert_array_equal(adata.X.toarray(), data.X.toarray())
    assert (adata.X.data % 1 != 0).any()
    assert not adata.layers
    assert adata.uns["control"] == "ctrl"
    assert list(adata.obs["cell_type"]) == list(data.obs["cell_type"])


def test_counts_go_through_a_file_and_come_back_block_by_block(tmp_path, monkeypatch):
    write_matrix(ingested(), tmp_path / "counts.h5ad", "counts", {})
    monkeypatch.setattr(blocks, "LARGE", 5)
    monkeypatch.setattr(blocks, "BLOCK", 5)
    result, *_ = preprocess(read_large_matrix(tmp_path / "counts.h5ad"), QualityControl(), "none")
    np.testing.assert_array_equal(
        np.concatenate([part.toarray() for _, part in blocks.row_blocks(result.X)]), COUNTS
    )


# Mitochondrial share


def test_the_mitochondrial_share_is_in_percent_whatever_the_case_of_the_prefix():
    total = COUNTS.sum(axis=1)
    expected = 100 * COUNTS[:, [1, 3, 5]].sum(axis=1) / np.maximum(total, 1)
    np.testing.assert_allclose(ingested().obs["pct_counts_mt"], expected)
    assert ingested().obs["pct_counts_mt"].iloc[0] == 0  # of a cell without counts


@pytest.mark.parametrize("genes", [["MT1A", "MTOR", "mtor", "AMT-1", "xMT-CO1", "LYZ"]])
def test_genes_that_only_look_mitochondrial_do_not_count(tmp_path, genes):
    adata = written_and_read(ingested(source(genes=genes)), tmp_path / "counts.h5ad")
    assert adata.obs["pct_counts_mt"].isna().all()


def test_a_mitochondrial_threshold_without_such_genes_is_refused_with_the_cure():
    adata = ingested(source(genes=[f"ENSG{i:011d}" for i in range(N_GENES)]))
    with pytest.raises(
        UserError,
        match=r"no gene is named MT-.*leave it out, or name the column .* in columns\.gene",
    ):
        preprocess(adata, QualityControl(max_percent_mito=5))


def test_mitochondrial_genes_are_found_by_the_symbols_of_a_column():
    adata = source(genes=[f"ENSG{i:011d}" for i in range(N_GENES)])
    adata.var["symbol"] = pd.Categorical(GENES)
    result = ingested(adata, columns={"cell_type": "type", "gene": "symbol"})
    assert list(result.var_names) == GENES
    np.testing.assert_allclose(result.obs["pct_counts_mt"], ingested().obs["pct_counts_mt"])


def test_the_share_of_counts_is_exact_for_small_types():
    counts = sparse.csr_matrix(np.array([[255, 255, 255]], dtype=np.uint8))
    np.testing.assert_allclose(percent_mito(counts, pd.Index(["MT-A", "B", "C"])), [100 / 3])


def test_a_share_is_taken_from_formats_that_name_labels_themselves_alone():
    shares = np.linspace(0, 100, N_CELLS)
    adata = source(pct_counts_mt=shares)
    computed = ingested(drop={"type": ["B"]}).obs["pct_counts_mt"]
    np.testing.assert_array_equal(
        ingested(adata, drop={"type": ["B"]}).obs["pct_counts_mt"], computed
    )
    adata.uns["labelled"] = True
    result = ingested(adata, drop={"type": ["B"]})
    np.testing.assert_allclose(result.obs["pct_counts_mt"], shares[np.array(TYPES) != "B"])


# Labels


@pytest.mark.parametrize("label", ["cell_type", "condition", "batch"])
def test_a_label_column_that_is_not_there_is_refused_with_the_nearest(label):
    columns = {**LABELLED, label: LABELLED[label][:-1] + "x"}
    message = refusal(columns=columns, control="ctrl")
    assert (
        f"obs has no column '{columns[label]}'; did you mean '{LABELLED[label]}'? known: "
        f"donor, treatment, type" in message
    )


def test_a_label_column_like_no_other_is_refused_with_all():
    assert "obs has no column 'louvain'; known: donor, treatment, type" in refusal(
        columns={"cell_type": "louvain"}
    )


def test_a_gene_column_that_is_not_there_is_refused_with_the_nearest():
    adata = source()
    adata.var["gene_symbols"] = GENES
    message = refusal(adata, columns={"cell_type": "type", "gene": "gene_symbol"})
    assert "var has no column 'gene_symbol'; did you mean 'gene_symbols'?" in message


def test_a_control_that_no_cell_has_is_refused_with_the_nearest():
    message = refusal(columns=LABELLED, control="crtl")
    assert (
        "control is 'crtl', which no cell has as its condition; did you mean 'ctrl'? known: "
        "ctrl, stim" in message
    )


def test_levels_that_no_kept_cell_has_are_gone():
    assert list(ingested(drop={"type": ["B"]}).obs["cell_type"].cat.categories) == ["NK", "T"]


PARTLY = ["B", "T", None, "NK"] * 3


@pytest.mark.parametrize("missing", [None, np.nan, "", "NA", "NaN", "nan", "None", "null"])
def test_labels_that_say_nothing_are_missing(tmp_path, missing):
    values = pd.Series(PARTLY, dtype=object).where(lambda label: label.notna(), missing).tolist()
    adata = written_and_read(ingested(source(type=values)), tmp_path / "counts.h5ad")
    assert list(adata.obs["cell_type"].isna()) == [label is None for label in PARTLY]
    assert list(adata.obs["cell_type"].cat.categories) == ["B", "NK", "T"]


@pytest.mark.parametrize("label", ["cell_type", "condition"])
@pytest.mark.parametrize("name", [ALL, UNNAMED, OVER_TYPES, OVER_GROUPS])
def test_a_label_with_a_name_that_results_need_is_refused(label, name):
    assert f"a {label} is called '{name}'" in refusal(
        source(kind=["a", "b", name] * 4), columns={label: "kind"}
    )


def test_cells_without_a_label_are_refused_once_quality_control_is_done():
    with pytest.raises(
        UserError,
        match=r"3 of the 12 cells .* have no cell_type \(the first: cell_2, cell_6, "
        r"cell_10\).*drop_unlab",
    ):
        preprocess(ingested(source(type=PARTLY)), QualityControl())


def test_cells_without_a_label_are_dropped_where_the_user_says_so():
    result, steps, cells = preprocess(
        ingested(source(type=PARTLY)), QualityControl(), drop_unlabelled=True
    )
    assert result.n_obs == 9
    assert list(steps["n_cells"]) == [12, 9]
    assert list(cells.query("removed.notna()")["cell"]) == ["cell_2", "cell_6", "cell_10"]


def test_cells_that_quality_control_removes_need_no_label():
    adata = ingested(source(type=[None, *TYPES[1:]]))  # the cell without counts
    assert preprocess(adata, QualityControl(min_genes=1))[0].n_obs == 11


@pytest.mark.parametrize("missing", [None, np.nan, "NA"])
def test_a_label_column_without_any_value_is_refused(missing):
    message = refusal(source(type=[missing] * N_CELLS))
    assert "no cell has a value in column 'type', the cell_type; name another column" in message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2] * 6, ["1", "2"]),
        ([True, False] * 6, ["True", "False"]),
        ([0.5, 2.0] * 6, ["0.5", "2"]),
        (pd.Categorical([10, 9] * 6), ["10", "9"]),
        (pd.array([1, 2] * 6, dtype="Int64"), ["1", "2"]),
        (pd.array([True, False] * 6, dtype="boolean"), ["True", "False"]),
    ],
    ids=["whole", "boolean", "real", "categories", "nullable whole", "nullable boolean"],
)
def test_labels_that_are_no_text_become_text(tmp_path, values, expected):
    adata = source(type=np.array(TYPES))
    adata.obs["type"] = values
    result = written_and_read(ingested(adata), tmp_path / "counts.h5ad")
    assert list(result.obs["cell_type"]) == expected * 6


def test_names_of_labels_survive_unchanged(tmp_path):
    names = ["CD4/CD8 T", "β cell", "naïve  B", " γδ T ", "a:b, [c]", "NKT#1"] * 2
    adata = written_and_read(ingested(source(type=names)), tmp_path / "counts.h5ad")
    assert list(adata.obs["cell_type"]) == names
    assert set(adata.obs["cell_type"].cat.categories) == set(names)


def test_cells_named_by_numbers_are_named_by_text(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        group = file.create_group("obs")
        group.attrs.update(
            {
                "encoding-type": "dataframe",
                "encoding-version": "0.2.0",
                "_index": "_index",
                "column-order": ["type"],
            }
        )
        ad.io.write_elem(group, "_index", np.arange(N_CELLS))
        ad.io.write_elem(group, "type", np.arange(N_CELLS) // 6)
        ad.io.write_elem(file, "var", source().var)
        ad.io.write_elem(file, "X", sparse.csr_matrix(COUNTS))
    annotation = pd.DataFrame({"label": ["a", "b"] * 6}, index=range(N_CELLS))
    columns = {"cell_type": "type", "batch": "label"}
    result = ingested(read("h5ad", {"counts": [tmp_path / "a.h5ad"]}), annotation, columns)
    adata = written_and_read(result, tmp_path / "counts.h5ad")
    assert list(adata.obs_names) == [str(i) for i in range(N_CELLS)]
    assert list(adata.obs["cell_type"]) == ["0"] * 6 + ["1"] * 6
    assert list(adata.obs["batch"]) == ["a", "b"] * 6


def test_labels_that_no_column_names_are_those_of_formats_that_name_them_themselves():
    adata = source(cell_type=TYPES, split=["train"] * 10 + ["held_out"] * 2)
    assert list(ingested(adata, columns={}).obs) == ["pct_counts_mt"]
    adata.uns["labelled"] = True
    result = ingested(adata, columns={})
    assert list(result.obs["cell_type"]) == TYPES
    assert list(result.obs["split"]) == ["train"] * 10 + ["held_out"] * 2


def test_a_gene_without_a_symbol_keeps_its_name_and_a_warning_says_so(caplog):
    adata = source()
    adata.var["symbol"] = [None, "", "GNLY", *GENES[3:]]
    result = ingested(adata, columns={**LABELLED, "gene": "symbol"})
    assert list(result.var_names) == [*GENES[:2], "GNLY", *GENES[3:]]
    assert f"2 genes have no symbol (the first: {GENES[0]}) and keep their names" in caplog.text


def test_of_many_known_names_twenty_are_listed():
    message = refusal(
        source(**{f"column_{i}": TYPES for i in range(30)}), columns={"cell_type": "louvain"}
    )
    assert message.count("column_") == 20
    assert message.endswith(" and 13 more")


# Keep and drop


def choosing():
    return source(
        clusters=[0, 1, 2] * 4, doublet=[True] + [False] * 11, note=["x"] * 6 + [None] * 6
    )


def test_whole_numbers_with_gaps_are_chosen_and_shown_without_a_point():
    adata = source(cluster=[1.0, 2.0, np.nan] * 4)
    assert (
        ingested(adata, keep={"cluster": [1]}).n_obs
        == ingested(adata, keep={"cluster": [1.0]}).n_obs
        == 4
    )
    assert ingested(adata, drop={"cluster": ["2"]}).n_obs == 8
    message = refusal(adata, keep={"cluster": ["nan"]})
    assert "no cell has 'nan' in column 'cluster'" in message
    assert message.endswith("known: 1, 2")


def test_a_column_that_neither_obs_nor_the_annotation_has_is_refused_so():
    annotation = pd.DataFrame({"label": TYPES}, index=CELLS)
    message = refusal(source(), annotation, columns={"cell_type": "lable"})
    assert "obs, with the annotation, has no column 'lable'; did you mean 'label'?" in message


@pytest.mark.parametrize(
    ("keep", "drop", "expected"),
    [
        ({"type": ["B", "NK"]}, {}, [0, 2, 3, 5, 6, 8, 9, 11]),
        ({"clusters": [1]}, {}, [1, 4, 7, 10]),
        ({}, {"clusters": [1, 2]}, [0, 3, 6, 9]),
        ({}, {"doublet": [True], "type": ["T"]}, [2, 3, 5, 6, 8, 9, 11]),
        ({"doublet": [False], "treatment": ["ctrl"]}, {}, [1, 2, 3, 4, 5]),
        ({"type": ["B"], "treatment": ["ctrl"]}, {}, [0, 3]),
        ({"note": ["x"]}, {"type": ["T", "NK"]}, [0, 3]),
    ],
)
def test_cells_are_kept_and_dropped_by_their_values(keep, drop, expected):
    adata = ingested(
        choosing(), columns={"batch": "donor"} if len(expected) == 5 else {}, keep=keep, drop=drop
    )
    assert list(adata.obs_names) == [CELLS[i] for i in expected]
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), COUNTS[expected])


@pytest.mark.parametrize("what", ["keep", "drop"])
@pytest.mark.parametrize(
    ("column", "value", "end"),
    [
        ("treatment", "stimm", "; did you mean 'stim'? known: ctrl, stim"),
        ("clusters", 7, "; known: 0, 1, 2"),
        ("doublet", "Treu", "; did you mean 'True'? known: False, True"),
    ],
)
def test_a_value_that_no_cell_has_is_refused_with_the_nearest(what, column, value, end):
    message = refusal(choosing(), **{what: {column: [value]}})
    assert f"{what}: no cell has '{value}' in column '{column}'{end}" in message


def test_a_column_to_choose_by_that_is_not_there_is_refused_with_the_nearest():
    assert "obs has no column 'doublets'; did you mean 'doublet'?" in refusal(
        choosing(), drop={"doublets": [True]}
    )


def test_a_choice_that_leaves_no_cell_is_refused():
    assert "keep and drop leave none of the 12 cells" in refusal(
        keep={"type": ["B"]}, drop={"type": ["B"]}
    )
    assert "keep and drop leave none" in refusal(
        choosing(), keep={"doublet": [True], "treatment": ["stim"]}
    )


# Annotations

LABELS = pd.DataFrame({"label": ["B", "T", "NK"] * 4, "score": np.arange(N_CELLS)}, index=CELLS)
BY_LABEL = {"cell_type": "label"}


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.csv.gz", "a.h5ad"])
def test_an_annotation_is_joined_by_the_names_of_cells(tmp_path, name):
    table = LABELS.iloc[::-1]
    if name == "a.h5ad":
        ad.AnnData(obs=table).write_h5ad(tmp_path / name)
    else:
        table.to_csv(tmp_path / name, sep="," if "csv" in name else "\t")
    adata = ingested(
        source(), read_annotation([tmp_path / name]), BY_LABEL, keep={"score": [0, 1, 3, 4, 5, 8]}
    )
    assert list(adata.obs_names) == [CELLS[i] for i in (0, 1, 3, 4, 5, 8)]
    assert list(adata.obs["cell_type"]) == ["B", "T", "B", "T", "NK", "NK"]


@pytest.mark.parametrize(
    "labels", [[1, 2] * 5, [True, False] * 5, ["1", "2"] * 5], ids=["whole", "boolean", "text"]
)
def test_cells_that_an_annotation_leaves_out_have_no_label_and_the_others_keep_theirs(
    tmp_path, labels
):
    table = pd.DataFrame({"label": labels}, index=CELLS[2:])
    adata = written_and_read(ingested(source(), table, BY_LABEL), tmp_path / "counts.h5ad")
    assert list(adata.obs["cell_type"].isna()) == [True, True] + [False] * 10
    assert list(adata.obs["cell_type"][2:]) == [str(label) for label in labels]
    assert ingested(source(), table, BY_LABEL, keep={"label": labels[:1]}).n_obs == 5


def test_labels_that_say_nothing_in_a_text_are_missing(tmp_path):
    (tmp_path / "a.tsv").write_text(
        "cell\tlabel\n"
        + "".join(
            f"{cell}\t{label}\n" for cell, label in zip(CELLS, ["B", "NA", ""] * 4, strict=True)
        )
    )
    with pytest.raises(
        UserError, match="8 of the 12 cells that pass quality control have no cell_type"
    ):
        preprocess(
            ingested(source(), read_annotation([tmp_path / "a.tsv"]), BY_LABEL), QualityControl()
        )


def test_an_annotation_of_other_cells_is_refused_with_the_first_name_of_both():
    table = LABELS.set_axis([f"{cell}-1" for cell in CELLS])
    message = refusal(source(), table, BY_LABEL)
    assert (
        "names none of the cells: its first is 'cell_0-1', that of the counts 'cell_0'" in message
    )


def test_an_annotation_of_more_cells_is_joined():
    table = pd.concat([LABELS, LABELS.set_axis([f"other_{i}" for i in range(N_CELLS)])])
    assert ingested(source(), table, BY_LABEL).n_obs == N_CELLS


def test_an_annotation_that_repeats_a_cell_is_refused_with_its_name():
    table = LABELS.set_axis([*CELLS[:-1], CELLS[3]])
    assert (
        "the annotation names the cell 'cell_3' more than once; keep one row per cell"
        in refusal(source(), table, BY_LABEL)
    )


def test_repeated_cells_of_the_counts_share_their_annotation():
    result = ingested(source(cells=["cell_1", *CELLS[1:]]), LABELS, BY_LABEL)
    assert list(result.obs["cell_type"][:2]) == ["T", "T"]
    assert list(result.obs_names[:2]) == ["cell_1", "cell_1-1"]


@pytest.mark.parametrize("table", [LABELS[:0], LABELS[[]]], ids=["no cells", "no columns"])
def test_an_empty_annotation_is_refused(table):
    assert "the annotation has no rows or no columns" in refusal(source(), table, BY_LABEL)


def test_a_column_that_both_have_is_taken_from_the_annotation_with_a_warning(caplog):
    adata = ingested(
        source(), LABELS.rename(columns={"label": "donor"}), {"cell_type": "type", "batch": "donor"}
    )
    assert list(adata.obs["batch"]) == list(LABELS["label"])
    assert "column 'donor' of the annotation takes the place of the one in obs" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_a_misspelt_column_of_an_annotation_is_refused_with_the_nearest():
    message = refusal(source(), LABELS, {"cell_type": "lable"})
    assert (
        "has no column 'lable'; did you mean 'label'? known: donor, label, score, treatment, type"
        in message
    )


# Real data


def test_pbmc3k_comes_out_with_all_its_counts(data_dir):
    adata = ingested(
        read("h5ad", {"counts": [data_dir / "pbmc3k_raw.h5ad"]}),
        columns={"cell_type": "okunator_cell_type"},
    )
    counts = adata.layers["counts"]
    assert (counts.nnz, counts.sum(dtype=np.int64)) == (2_286_884, 6_390_631)
    assert counts.has_sorted_indices
    assert adata.obs["pct_counts_mt"].between(0, 25).all()


def test_the_subset_of_kang_comes_out_without_megakaryocytes(data_dir, raw_config):
    settings = raw_config["datasets"]["kang_subset"]
    adata = ingested(
        read("h5ad", {"counts": [data_dir / "kang_6587x9015.h5ad"]}),
        columns=settings["columns"],
        control=settings["control"],
        drop=settings["drop"],
    )
    assert adata.shape == (6529, 9015)
    assert adata.obs["cell_type"].nunique() == 7
    assert adata.obs["batch"].nunique() == 8
