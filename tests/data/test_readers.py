"""Each format is read as its source has it, and what is no such file is refused in one line."""

import gzip
import io
import tarfile
from pathlib import Path

import anndata as ad
import h5py
import loompy
import numpy as np
import pandas as pd
import pytest
import scanpy
import sklearn.datasets
from helpers import write_by_hand
from scipy import sparse
from scipy.io import mmwrite

from sclatent.common.errors import UserError
from sclatent.data.readers.registry import read, read_annotation
from sclatent.io import blocks
from sclatent.io.blocks import is_lazy

PBMC = Path(scanpy.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
DIGITS = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"

COUNTS = np.array([[1, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5]], dtype=np.int32)
CELLS = ["AAAC-1", "CCCA-1", "GGGT-1"]
IDS = ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003", "ENSG00000000004"]
SYMBOLS = ["CD4", "MT-CO1", "NKG7", "CD4"]


def counts_of(format, *paths, **options):
    """Read files in the role counts."""
    return read(format, {"counts": list(paths)}, **options)


def refusal(call, *arguments, **options) -> str:
    """The message of the UserError that a call ends in, which must be one line."""
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_is_the_example(adata, genes=SYMBOLS):
    """Check counts and names of the example above."""
    np.testing.assert_array_equal(
        adata.X.toarray() if sparse.issparse(adata.X) else adata.X, COUNTS
    )
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == genes


def as_anndata(values=COUNTS, **parts):
    obs = pd.DataFrame({"label": ["a", "b", "a"]}, index=CELLS)
    return ad.AnnData(
        sparse.csr_matrix(values),
        obs=obs,
        var=pd.DataFrame({"symbol": SYMBOLS}, index=IDS),
        **parts,
    )


# AnnData


def test_x_of_an_anndata_file_is_read_with_its_tables(tmp_path):
    as_anndata().write_h5ad(tmp_path / "a.h5ad")
    adata = counts_of("h5ad", tmp_path / "a.h5ad")
    assert_is_the_example(adata, IDS)
    assert list(adata.obs["label"]) == ["a", "b", "a"]
    assert list(adata.var["symbol"]) == SYMBOLS


def test_counts_are_taken_from_the_place_that_layer_names(tmp_path):
    logs = as_anndata(np.log1p(COUNTS), layers={"counts": sparse.csr_matrix(COUNTS)})
    logs.raw = as_anndata(7 * COUNTS)
    logs[:, :2].copy().write_h5ad(tmp_path / "a.h5ad")
    layer = counts_of("h5ad", tmp_path / "a.h5ad", layer="counts")
    np.testing.assert_array_equal(layer.X.toarray(), COUNTS[:, :2])
    raw = counts_of("h5ad", tmp_path / "a.h5ad", layer="raw")
    np.testing.assert_array_equal(raw.X.toarray(), 7 * COUNTS)
    assert list(raw.var_names) == IDS
    assert raw.uns["layers"] == ["raw", "counts"]


def test_a_layer_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    as_anndata(layers={"counts": sparse.csr_matrix(COUNTS)}).write_h5ad(tmp_path / "a.h5ad")
    message = refusal(counts_of, "h5ad", tmp_path / "a.h5ad", layer="cuonts")
    assert "a.h5ad has no layer 'cuonts'; did you mean 'counts'? known: counts" in message
    assert "has no layer 'raw'" in refusal(counts_of, "h5ad", tmp_path / "a.h5ad", layer="raw")


def test_an_anndata_file_without_x_is_refused_with_its_layers(tmp_path):
    adata = as_anndata(layers={"counts": sparse.csr_matrix(COUNTS)})
    adata.X = None
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert "a.h5ad has no X; name the layer with the counts; did you mean 'counts'?" in refusal(
        counts_of, "h5ad", tmp_path / "a.h5ad"
    )
    del adata.layers["counts"]
    adata.write_h5ad(tmp_path / "b.h5ad")
    assert "b.h5ad has no X and no layers" in refusal(counts_of, "h5ad", tmp_path / "b.h5ad")


def test_an_anndata_file_of_the_old_kind_is_read():
    adata = counts_of("h5ad", PBMC)
    stored = ad.read_h5ad(PBMC)
    np.testing.assert_array_equal(adata.X, stored.X)
    assert list(adata.obs["bulk_labels"]) == list(stored.obs["bulk_labels"])
    raw = counts_of("h5ad", PBMC, layer="raw")
    assert (raw.X != stored.raw.X).nnz == 0
    assert list(raw.var_names) == list(stored.raw.var_names)
    assert adata.uns["layers"] == raw.uns["layers"] == ["raw"]
    assert "has no layer 'counts'; known: raw" in refusal(counts_of, "h5ad", PBMC, layer="counts")


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
@pytest.mark.parametrize("dtype", [">i4", ">f8", ">u2", "<f2", ">f2", "<i8"])
def test_numbers_of_any_size_and_byte_order_are_read(tmp_path, layout, dtype):
    write_by_hand(
        tmp_path / "a.h5ad", as_anndata(), COUNTS, dtype, index_dtype=dtype[0] + "i4", layout=layout
    )
    adata = counts_of("h5ad", tmp_path / "a.h5ad")
    assert_is_the_example(adata, IDS)
    assert adata.X.dtype.isnative
    assert adata.X.dtype != np.float16


def test_indices_of_the_other_byte_order_are_read(tmp_path):
    write_by_hand(tmp_path / "a.h5ad", as_anndata(), COUNTS, "<f4", index_dtype=">i8")
    adata = counts_of("h5ad", tmp_path / "a.h5ad")
    assert_is_the_example(adata, IDS)
    assert adata.X.indices.dtype.isnative


@pytest.mark.parametrize("dtype", ["S1", "complex128"])
def test_values_that_are_no_numbers_are_refused_with_their_type(tmp_path, dtype):
    write_by_hand(tmp_path / "a.h5ad", as_anndata(), COUNTS, dtype, layout="dense")
    assert "X holds values of type" in refusal(counts_of, "h5ad", tmp_path / "a.h5ad")


def test_a_matrix_whose_values_lie_in_no_column_is_refused(tmp_path):
    write_by_hand(tmp_path / "a.h5ad", as_anndata(), COUNTS, "<f4")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        file["X/indices"][0] = 1_000_000_000
    assert "a.h5ad cannot be read as h5ad" in refusal(counts_of, "h5ad", tmp_path / "a.h5ad")


@pytest.mark.parametrize(("layout", "lazy"), [("csr", True), ("dense", True), ("csc", False)])
def test_a_large_matrix_stored_by_rows_is_read_block_by_block(tmp_path, monkeypatch, layout, lazy):
    monkeypatch.setattr(blocks, "LARGE", 3)
    monkeypatch.setattr(blocks, "BLOCK", 2)
    write_by_hand(tmp_path / "a.h5ad", as_anndata(), COUNTS, "<i4", layout=layout)
    adata = counts_of("h5ad", tmp_path / "a.h5ad")
    assert is_lazy(adata.X) == lazy
    np.testing.assert_array_equal(
        np.concatenate([block.toarray() for _, block in blocks.row_blocks(adata.X)]), COUNTS
    )


# Cell Ranger, HDF5


def write_10x_h5(path, version, **replaced):
    """Write the example as Cell Ranger 2 or 3 does, parts replaced by others, or left out where
    None.
    """
    text = {"barcodes": CELLS, "genes": IDS, "gene_names": SYMBOLS}
    if version == 3:
        kinds = ["Gene Expression"] * 3 + ["Antibody Capture"]
        text = {
            "barcodes": CELLS,
            "features/id": IDS,
            "features/name": SYMBOLS,
            "features/feature_type": kinds,
        }
    values = sparse.csr_matrix(COUNTS)
    parts = {
        "data": values.data,
        "indices": values.indices.astype(np.int64),
        "indptr": values.indptr.astype(np.int64),
    }
    parts |= {
        "shape": np.array([4, 3], np.int32),
        **{name: np.array(words, "S") for name, words in text.items()},
        **replaced,
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name, part in parts.items():
            if part is not None:
                group[name] = part


def test_the_h5_of_cell_ranger_2_is_read(tmp_path):
    write_10x_h5(tmp_path / "a.h5", 2)
    adata = counts_of("10x_h5", tmp_path / "a.h5")
    assert_is_the_example(adata)
    assert list(adata.var["gene_ids"]) == IDS


def test_of_the_h5_of_cell_ranger_3_the_genes_are_read(tmp_path):
    write_10x_h5(tmp_path / "a.h5", 3)
    adata = counts_of("10x_h5", tmp_path / "a.h5")
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS[:, :3])
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == SYMBOLS[:3]
    assert list(adata.var["gene_ids"]) == IDS[:3]


@pytest.mark.parametrize("version", [2, 3])
def test_the_h5_of_cell_ranger_is_read_as_scanpy_reads_it(tmp_path, version):
    genome = {"features/genome": np.array(["GRCh38"] * 4, "S")} if version == 3 else {}
    write_10x_h5(tmp_path / "a.h5", version, **genome)
    ours, theirs = counts_of("10x_h5", tmp_path / "a.h5"), scanpy.read_10x_h5(tmp_path / "a.h5")
    assert (ours.X != theirs.X).nnz == 0
    assert list(ours.var_names) == list(theirs.var_names)


def test_counts_of_the_h5_of_cell_ranger_are_exact(tmp_path):
    large = sparse.csr_matrix(COUNTS).data.copy()
    large[0] = 2**24 + 1  # not a float32
    write_10x_h5(tmp_path / "a.h5", 3, data=large)
    assert int(counts_of("10x_h5", tmp_path / "a.h5").X[0, 0]) == 2**24 + 1


def test_an_h5_that_is_not_of_cell_ranger_is_refused(tmp_path):
    write_10x_h5(tmp_path / "a.h5", 3, barcodes=None)
    message = refusal(counts_of, "10x_h5", tmp_path / "a.h5")
    assert "barcodes" in message
    assert "a.h5 cannot be read as 10x_h5" in message
    as_anndata().write_h5ad(tmp_path / "b.h5")
    assert "must hold one matrix of Cell Ranger, but holds: X, layers" in refusal(
        counts_of, "10x_h5", tmp_path / "b.h5"
    )
    as_anndata().write_loom(tmp_path / "c.h5")
    assert "must hold one matrix of Cell Ranger" in refusal(counts_of, "10x_h5", tmp_path / "c.h5")
    write_10x_h5(tmp_path / "d.h5", 3, indices=np.full(5, 9))
    assert "d.h5 cannot be read as 10x_h5" in refusal(counts_of, "10x_h5", tmp_path / "d.h5")


# Cell Ranger, folders


def mtx_parts(
    version=3, zipped=True, prefix="", counts=COUNTS, cells=CELLS, kinds=("Gene Expression",) * 4
):
    """The files of a matrix folder by name."""
    matrix = io.BytesIO()
    mmwrite(matrix, sparse.coo_matrix(counts.T))
    rows = (
        zip(IDS, SYMBOLS, kinds, strict=False) if version == 3 else zip(IDS, SYMBOLS, strict=True)
    )
    parts = {
        "matrix.mtx": matrix.getvalue(),
        "barcodes.tsv": "".join(f"{cell}\n" for cell in cells).encode(),
        "features.tsv" if version == 3 else "genes.tsv": "".join(
            "\t".join(row) + "\n" for row in rows
        ).encode(),
    }
    if zipped:
        parts = {f"{name}.gz": gzip.compress(content) for name, content in parts.items()}
    return {prefix + name: content for name, content in parts.items()}


def write_parts(folder, parts):
    """Write files by name into a new folder and return their paths."""
    folder.mkdir(parents=True)
    for name, content in parts.items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


def write_tar(path, parts, mode="w:gz"):
    """Write files by name into an archive; a part that is no bytes is a TarInfo of its own."""
    with tarfile.open(path, mode) as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(name) if isinstance(content, bytes) else content
            member.size = len(content) if isinstance(content, bytes) else 0
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


@pytest.mark.parametrize("prefix", ["", "GSM1234567_pbmc_"])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("version", [2, 3])
def test_a_matrix_folder_is_read(tmp_path, version, zipped, prefix):
    adata = counts_of("10x_mtx", *write_parts(tmp_path / "m", mtx_parts(version, zipped, prefix)))
    assert_is_the_example(adata)
    assert list(adata.var["gene_ids"]) == IDS


def test_of_the_features_of_a_folder_the_genes_are_read(tmp_path):
    kinds = ["Gene Expression", "Antibody Capture", "Gene Expression", "CRISPR Guide Capture"]
    adata = counts_of("10x_mtx", *write_parts(tmp_path / "m", mtx_parts(kinds=kinds)))
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS[:, [0, 2]])
    assert list(adata.var_names) == ["CD4", "NKG7"]


def test_names_of_cells_that_are_numbers_stay_as_written(tmp_path):
    adata = counts_of(
        "10x_mtx", *write_parts(tmp_path / "m", mtx_parts(cells=["001", "NA", "1e5"]))
    )
    assert list(adata.obs_names) == ["001", "NA", "1e5"]


@pytest.mark.parametrize("part", ["matrix.mtx", "barcodes.tsv", "features.tsv"])
def test_a_folder_that_lacks_a_file_is_refused_by_its_name(tmp_path, part):
    parts = mtx_parts()
    del parts[f"{part}.gz"]
    message = refusal(counts_of, "10x_mtx", *write_parts(tmp_path / "m", parts))
    assert f"m needs one {part}" in message
    assert "but has none" in message


def test_a_folder_of_two_samples_is_refused_with_both(tmp_path):
    message = refusal(
        counts_of,
        "10x_mtx",
        *write_parts(tmp_path / "m", mtx_parts(prefix="A_") | mtx_parts(prefix="B_")),
    )
    assert "A_matrix.mtx.gz and B_matrix.mtx.gz" in message


def test_files_that_macos_hides_beside_a_matrix_are_not_taken(tmp_path):
    parts = mtx_parts()
    parts |= {f"._{name}": b"x" for name in parts}
    assert_is_the_example(counts_of("10x_mtx", *write_parts(tmp_path / "m", parts)))
    tarred = write_tar(
        tmp_path / "m.tar.gz", {f"m/{name}": content for name, content in parts.items()}
    )
    assert_is_the_example(counts_of("10x_mtx", tarred))


def test_a_folder_whose_lengths_differ_is_refused_with_both(tmp_path):
    message = refusal(
        counts_of, "10x_mtx", *write_parts(tmp_path / "m", mtx_parts(cells=CELLS[:2]))
    )
    assert (
        "matrix.mtx.gz holds 3 cells and 4 genes, but there are 2 barcodes and 4 genes" in message
    )


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    message = refusal(counts_of, "h5ad", *write_parts(tmp_path / "m", mtx_parts()))
    assert "m is a folder, but format h5ad takes a file; format: 10x_mtx takes folders" in message


@pytest.mark.parametrize(
    ("name", "mode"), [("m.tar.gz", "w:gz"), ("m.tgz", "w:gz"), ("m.tar", "w"), ("m", "w:gz")]
)
def test_an_archive_of_one_folder_is_read(tmp_path, name, mode):
    parts = {
        f"filtered/hg19/{part}": content for part, content in mtx_parts(2, zipped=False).items()
    }
    assert_is_the_example(
        counts_of("10x_mtx", write_tar(tmp_path / name, parts | {"filtered/notes.txt": b"x"}, mode))
    )


def test_an_archive_of_files_with_a_prefix_is_read(tmp_path):
    assert_is_the_example(
        counts_of("10x_mtx", write_tar(tmp_path / "m.tar", mtx_parts(prefix="GSM1_"), "w"))
    )


def test_an_archive_of_two_folders_is_refused_with_both(tmp_path):
    parts = {
        f"{folder}/{name}": content
        for folder in ("hg19", "mm10")
        for name, content in mtx_parts().items()
    }
    message = refusal(counts_of, "10x_mtx", write_tar(tmp_path / "m.tar.gz", parts))
    assert "m.tar.gz must hold one folder with a matrix.mtx, but holds: hg19, mm10" in message


def test_an_archive_without_a_matrix_is_refused(tmp_path):
    assert "but holds: none" in refusal(
        counts_of, "10x_mtx", write_tar(tmp_path / "m.tar.gz", {"notes.txt": b"x"})
    )


def test_an_archive_whose_folder_lacks_a_file_is_refused_by_its_name(tmp_path):
    parts = mtx_parts()
    del parts["barcodes.tsv.gz"]
    message = refusal(counts_of, "10x_mtx", write_tar(tmp_path / "m.tar.gz", parts))
    assert f"{tmp_path / 'm.tar.gz'} needs one barcodes.tsv" in message


def link(name, target, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "fault", ["parent", "absolute", "absolute link", "parent link", "hard link", "device"]
)
def test_an_archive_that_reaches_outside_is_refused_and_writes_nothing_there(
    tmp_path, monkeypatch, fault
):
    inner = tmp_path / "temporary"
    inner.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(inner))
    outside = tmp_path / "evil"
    evil = {
        "parent": {"../evil": b"x"},
        "absolute": {str(outside): b"x"},
        "absolute link": {"m": link("m", str(outside), tarfile.SYMTYPE), "m/file": b"x"},
        "parent link": {"m": link("m", "../../evil", tarfile.SYMTYPE), "m/file": b"x"},
        "hard link": {"m": link("m", "../../evil", tarfile.LNKTYPE)},
        "device": {"m": link("m", "", tarfile.FIFOTYPE)},
    }[fault]
    archive = write_tar(
        tmp_path / "m.tar.gz",
        evil | {f"good/{name}": content for name, content in mtx_parts().items()},
    )
    assert "m.tar.gz is not safe to open" in refusal(counts_of, "10x_mtx", archive)
    assert not outside.exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["m.tar.gz", "temporary"]


# loom


def test_a_loom_file_of_anndata_is_read(tmp_path):
    as_anndata().write_loom(tmp_path / "a.loom")
    adata = counts_of("loom", tmp_path / "a.loom")
    assert_is_the_example(adata, IDS)
    assert list(adata.obs["label"]) == ["a", "b", "a"]
    assert list(adata.var["symbol"]) == SYMBOLS


def test_a_loom_file_by_loompy_s_conventions_is_read_from_its_main_matrix(tmp_path):
    layers = {"": COUNTS.T, "spliced": 0 * COUNTS.T}
    genes = {"Gene": np.array(SYMBOLS), "Accession": np.array(IDS)}
    loompy.create(
        str(tmp_path / "a.loom"),
        layers,
        genes,
        {"CellID": np.array(CELLS), "label": np.array(["a", "b", "a"])},
    )
    adata = counts_of("loom", tmp_path / "a.loom")
    assert_is_the_example(adata)
    assert list(adata.var["Accession"]) == IDS
    assert list(adata.obs["label"]) == ["a", "b", "a"]


def test_counts_of_a_loom_file_are_exact(tmp_path):
    names = {"Gene": np.array(SYMBOLS)}, {"CellID": np.array(CELLS)}
    loompy.create(str(tmp_path / "a.loom"), COUNTS.T.astype(np.int64) * (2**24 + 1), *names)
    assert int(counts_of("loom", tmp_path / "a.loom").X[0, 0]) == 2**24 + 1


def test_an_hdf5_file_that_is_no_loom_is_refused(tmp_path):
    as_anndata().write_h5ad(tmp_path / "a.loom")
    assert "a.loom cannot be read as loom" in refusal(counts_of, "loom", tmp_path / "a.loom")
    write_10x_h5(tmp_path / "b.loom", 3)
    assert "b.loom cannot be read as loom" in refusal(counts_of, "loom", tmp_path / "b.loom")


# text


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.txt", "A.CSV"])
def test_a_text_table_is_read(tmp_path, name):
    table = pd.DataFrame(COUNTS, index=CELLS, columns=SYMBOLS)
    table.to_csv(tmp_path / name, sep="," if "csv" in name.lower() else "\t")
    assert_is_the_example(counts_of("csv", tmp_path / name))


def test_a_text_table_as_r_writes_it_is_read(tmp_path):
    rows = [
        f'"{cell}"\t' + "\t".join(map(str, row)) for cell, row in zip(CELLS, COUNTS, strict=True)
    ]
    (tmp_path / "a.tsv").write_text(
        "\n".join(["\t".join(f'"{symbol}"' for symbol in SYMBOLS), *rows])
    )
    assert_is_the_example(counts_of("csv", tmp_path / "a.tsv"))


@pytest.mark.parametrize("corner", ["", "cell"])
def test_names_in_a_text_table_stay_as_written(tmp_path, corner):
    (tmp_path / "a.csv").write_text(f"{corner},1,1,NA\n001,1,2,3\nNA,4,5,6\n1,7,8,9\n")
    adata = counts_of("csv", tmp_path / "a.csv")
    assert list(adata.obs_names) == ["001", "NA", "1"]
    assert list(adata.var_names) == ["1", "1", "NA"]
    np.testing.assert_array_equal(adata.X.toarray(), np.arange(1, 10).reshape(3, 3))


@pytest.mark.parametrize("value", ["Bcell", "NA", ""])
def test_a_text_table_with_a_column_of_text_is_refused_with_its_first_value(tmp_path, value):
    (tmp_path / "a.csv").write_text(f"cell,CD4,type\nx,1,2\ny,3,{value}\n")
    message = refusal(counts_of, "csv", tmp_path / "a.csv")
    assert f"a.csv: column 'type' holds '{value}' in row 'y'" in message
    assert "files.annotation" in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cell\tCD4\nx\t1\n", "has one column only; a .csv has commas"),
        ("cell,CD4\n", "cannot be read as csv"),
        ("\n\n", "cannot be read as csv"),
        ("cell,A,B\nx,1\n", "names 3 columns in its first line, but has 2"),
        ("cell,A\nx,1,2,3\n", "names 2 columns in its first line, but has 4"),
        ("cell,A\nx,1\ny,1,2,3\n", "cannot be read as csv"),
        ('cell,A\n"x,1\ny,2\n', "cannot be read as csv"),
    ],
)
def test_a_text_table_of_no_regular_shape_is_refused(tmp_path, text, fault):
    (tmp_path / "a.csv").write_text(text)
    message = refusal(counts_of, "csv", tmp_path / "a.csv")
    assert "a.csv" in message
    assert fault in message


# GEO, Kang


def kang_files(
    folder,
    barcodes=(CELLS[:2], CELLS),
    cells=(*CELLS[:2], *(f"{cell}1" for cell in CELLS[:2]), CELLS[2]),
    genes=IDS,
):
    """Write the files of the series with a control and a stimulated sample, which have two barcodes
    in common.
    """
    members = {}
    for sample, names in zip(("GSM2560248_2.1", "GSM2560249_2.2"), barcodes, strict=True):
        parts = mtx_parts(counts=COUNTS[: len(names)], cells=names)
        members[f"{sample}.mtx.gz"] = parts["matrix.mtx.gz"]
        members[f"{sample.split('_')[0]}_barcodes.tsv.gz"] = parts["barcodes.tsv.gz"]
    pd.DataFrame({0: genes, 1: SYMBOLS[: len(genes)]}).to_csv(
        folder / "genes.tsv.gz", sep="\t", header=False, index=False
    )
    table = pd.DataFrame(
        {"ind": 101, "stim": ["ctrl"] * 2 + ["stim"] * (len(cells) - 2), "cell": "B"},
        index=list(cells),
    )
    table.to_csv(folder / "cells.tsv.gz", sep="\t")
    (folder / "cells.tsv.gz").write_bytes(  # R leaves out the name of the first column
        gzip.compress(gzip.decompress((folder / "cells.tsv.gz").read_bytes()).removeprefix(b"\t"))
    )
    archive = write_tar(folder / "raw.tar", {"GSM0_other.txt.gz": b"x", **members}, "w")
    return {
        "archive": [archive],
        "genes": [folder / "genes.tsv.gz"],
        "cells": [folder / "cells.tsv.gz"],
    }


def test_the_series_of_kang_is_read_with_barcodes_that_both_samples_have(tmp_path):
    adata = read("geo_kang", kang_files(tmp_path))
    np.testing.assert_array_equal(adata.X.toarray(), np.concatenate([COUNTS[:2], COUNTS]))
    assert list(adata.obs_names) == ["AAAC-1", "CCCA-1", "AAAC-11", "CCCA-11", "GGGT-1"]
    assert list(adata.var_names) == SYMBOLS
    assert list(adata.obs["stim"]) == ["ctrl"] * 2 + ["stim"] * 3
    assert list(adata.obs["ind"]) == ["101"] * 5


def test_a_cell_table_of_other_cells_is_refused_with_the_first(tmp_path):
    other = ("AAAC-1", "TTTT-1", "AAAC-11", "CCCA-11", "GGGT-1")
    message = refusal(read, "geo_kang", kang_files(tmp_path, cells=other))
    assert "cells.tsv.gz lists other cells" in message
    assert "'TTTT-1' for 'CCCA-1'" in message


def test_a_cell_table_of_fewer_cells_is_refused_with_both_numbers(tmp_path):
    message = refusal(
        read, "geo_kang", kang_files(tmp_path, cells=("AAAC-1", "CCCA-1", "AAAC-11", "CCCA-11"))
    )
    assert "4 of them for 5" in message


def test_a_gene_table_of_another_length_is_refused(tmp_path):
    assert "cannot be read as geo_kang" in refusal(
        read, "geo_kang", kang_files(tmp_path, genes=IDS[:3])
    )


def test_a_series_without_its_samples_is_refused_by_the_member(tmp_path):
    files = kang_files(tmp_path)
    write_tar(tmp_path / "raw.tar", {"GSM0_other.txt.gz": b"x"}, "w")
    message = refusal(read, "geo_kang", files)
    assert "raw.tar cannot be read" in message
    assert "GSM2560248_2.1.mtx.gz" in message
    assert "genes.tsv" not in message


# idx


def as_idx(values):
    return (
        bytes([0, 0, 8, values.ndim])
        + np.array(values.shape, ">u4").tobytes()
        + values.astype(np.uint8).tobytes()
    )


IMAGES = np.arange(5 * 2 * 3).reshape(5, 2, 3) * 8
CLASSES = np.array([7, 1, 0, 9, 1])


def idx_files(folder, **replaced):
    """Write three training and two test images, and return the files by role."""
    parts = {
        "images": IMAGES[:3],
        "labels": CLASSES[:3],
        "test_images": IMAGES[3:],
        "test_labels": CLASSES[3:],
    }
    for role, content in (
        {role: as_idx(values) for role, values in parts.items()} | replaced
    ).items():
        (folder / role).write_bytes(content)
    return {role: [folder / role] for role in parts}


@pytest.mark.parametrize("zipped", [False, True])
def test_images_are_read_with_the_test_images_held_out(tmp_path, zipped):
    replaced = (
        {"images": gzip.compress(as_idx(IMAGES[:3])), "labels": gzip.compress(as_idx(CLASSES[:3]))}
        if zipped
        else {}
    )
    adata = read("idx", idx_files(tmp_path, **replaced))
    np.testing.assert_array_equal(adata.X.toarray(), IMAGES.reshape(5, 6))
    assert list(adata.obs["cell_type"]) == ["7", "1", "0", "9", "1"]
    assert list(adata.obs["split"]) == ["train"] * 3 + ["held_out"] * 2
    assert list(adata.obs_names) == [
        "train_00000",
        "train_00001",
        "train_00002",
        "test_00000",
        "test_00001",
    ]
    assert adata.var_names[4] == "pixel_1_1"


@pytest.mark.parametrize(
    ("role", "content", "fault"),
    [
        ("images", b"\x89PNG\r\n", "is not an idx file of bytes"),
        (
            "labels",
            as_idx(CLASSES[:3])[:2] + b"\x0d" + as_idx(CLASSES[:3])[3:],
            "is not an idx file of bytes",
        ),
        ("test_images", as_idx(IMAGES[3:])[:-1], "cannot be read as idx"),
        ("test_images", as_idx(IMAGES[3:])[:7], "cannot be read as idx"),
        ("images", as_idx(IMAGES[:3])[:3], "cannot be read as idx"),
        ("images", gzip.compress(as_idx(IMAGES[:3]), mtime=0)[:-9], "cannot be read as idx"),
        ("images", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 20, "cannot be read as idx"),
        ("labels", as_idx(CLASSES[:2]), "has 2 labels"),
        ("test_labels", as_idx(CLASSES), "has 5 labels"),
        ("labels", as_idx(IMAGES[:3]), "are the two swapped?"),
        ("images", as_idx(CLASSES[:3]), "are the two swapped?"),
        ("test_images", as_idx(IMAGES[3:, :1]), "cannot be read as idx"),
    ],
)
def test_images_that_are_broken_or_do_not_fit_are_refused_by_their_file(
    tmp_path, role, content, fault
):
    message = refusal(read, "idx", idx_files(tmp_path, **{role: content}))
    assert fault in message
    assert str(tmp_path / role) in message


# Annotations


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.txt"])
def test_an_annotation_in_text_is_read_as_written(tmp_path, name):
    table = pd.DataFrame(
        {"type": ["1", "NA", ""], "ok": ["True", "x/y", "β cell"]}, index=["001", "NA", "1"]
    )
    table.to_csv(tmp_path / name, sep="," if "csv" in name else "\t")
    read_back = read_annotation([tmp_path / name])
    assert list(read_back.index) == ["001", "NA", "1"]
    assert list(read_back["type"]) == ["1", "NA", ""]
    assert list(read_back["ok"]) == ["True", "x/y", "β cell"]


def test_the_obs_of_an_anndata_file_is_an_annotation(tmp_path):
    as_anndata().write_h5ad(tmp_path / "a.h5ad")
    assert dict(read_annotation([tmp_path / "a.h5ad"])["label"]) == {
        "AAAC-1": "a",
        "CCCA-1": "b",
        "GGGT-1": "a",
    }
    old = read_annotation([PBMC])
    assert old.shape[0] == 700
    assert old["bulk_labels"].nunique() == 10


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b""), ("a.csv", b"\xff\xfe,\xf6\n"), ("a.tsv.gz", b"x"), ("a.h5ad", b"x")],
)
def test_a_broken_annotation_is_refused_by_its_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert str(tmp_path / name) in refusal(read_annotation, [tmp_path / name])


def test_a_folder_for_an_annotation_is_refused(tmp_path):
    assert f"{tmp_path} is a folder" in refusal(
        read_annotation, [tmp_path / "barcodes.tsv", tmp_path / "genes.tsv"]
    )


def test_an_annotation_that_is_not_there_is_refused(tmp_path):
    assert "No such file" in refusal(read_annotation, [tmp_path / "a.csv"])


# Broken files of every kind


def example_files(folder):
    """Write a small file of each format; return format, files by role and the one to break, by
    name.
    """
    as_anndata().write_h5ad(folder / "a.h5ad", compression="gzip")
    as_anndata().write_loom(folder / "a.loom")
    write_10x_h5(folder / "a.h5", 3)
    table = pd.DataFrame(COUNTS, index=CELLS, columns=SYMBOLS)
    table.to_csv(folder / "a.csv.gz")
    table.to_csv(folder / "a.csv")
    write_tar(
        folder / "m.tar.gz",
        {f"m/{name}": content for name, content in mtx_parts(zipped=False).items()},
    )
    np.savetxt(folder / "digits.csv.gz", np.arange(130).reshape(2, 65), delimiter=",")
    packed = write_parts(folder / "packed", mtx_parts())
    plain = write_parts(folder / "plain", mtx_parts(zipped=False))
    images, kang = idx_files(folder, images=gzip.compress(as_idx(IMAGES[:3]))), kang_files(folder)
    return {
        "h5ad": ("h5ad", [folder / "a.h5ad"], folder / "a.h5ad"),
        "10x_h5": ("10x_h5", [folder / "a.h5"], folder / "a.h5"),
        "loom": ("loom", [folder / "a.loom"], folder / "a.loom"),
        "csv.gz": ("csv", [folder / "a.csv.gz"], folder / "a.csv.gz"),
        "tar.gz": ("10x_mtx", [folder / "m.tar.gz"], folder / "m.tar.gz"),
        "digits": ("digits", [folder / "digits.csv.gz"], folder / "digits.csv.gz"),
        **{path.name: ("10x_mtx", packed, path) for path in packed},
        "matrix.mtx": ("10x_mtx", plain, folder / "plain" / "matrix.mtx"),
        "idx": ("idx", images, folder / "images"),
        "geo archive": ("geo_kang", kang, folder / "raw.tar"),
        "geo genes": ("geo_kang", kang, folder / "genes.tsv.gz"),
        "geo cells": ("geo_kang", kang, folder / "cells.tsv.gz"),
    }


KINDS = (
    "h5ad 10x_h5 loom csv.gz tar.gz digits matrix.mtx.gz barcodes.tsv.gz features.tsv.gz "
    "matrix.mtx idx"
)
KINDS = [*KINDS.split(), "geo archive", "geo genes", "geo cells"]


def garble(content):
    """Overwrite the middle of a file, past its header."""
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 40 + content[middle + 40 :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "broken",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 3],
        lambda content: b"<html>Not found</html>\n" * 9,
    ],
    ids=["empty", "cut off", "a web page"],
)
def test_a_broken_file_is_refused_by_its_name(tmp_path, kind, broken):
    format, files, path = example_files(tmp_path)[kind]
    path.write_bytes(broken(path.read_bytes()))
    assert str(path) in refusal(
        read, format, files if isinstance(files, dict) else {"counts": files}
    )


@pytest.mark.parametrize(
    "kind", ["csv.gz", "tar.gz", "digits", "matrix.mtx.gz", "idx", "geo genes", "geo cells"]
)
def test_a_garbled_file_is_refused_by_its_name(tmp_path, kind):
    format, files, path = example_files(tmp_path)[kind]
    path.write_bytes(garble(path.read_bytes()))
    assert str(path) in refusal(
        read, format, files if isinstance(files, dict) else {"counts": files}
    )


def test_an_archive_whose_checksum_is_not_that_of_its_content_is_refused(tmp_path):
    parts = {f"m/{name}": content for name, content in mtx_parts(zipped=False).items()}
    write_tar(tmp_path / "m.tar", parts, "w")
    stored = gzip.compress((tmp_path / "m.tar").read_bytes(), compresslevel=0)
    (tmp_path / "m.tar.gz").write_bytes(stored)
    assert_is_the_example(counts_of("10x_mtx", tmp_path / "m.tar.gz"))
    (tmp_path / "m.tar.gz").write_bytes(
        stored.replace(b"\n3 3 5", b"\n3 3 6").replace(b"\n4 3 5", b"\n4 3 6")
    )
    assert "m.tar.gz cannot be read as 10x_mtx (CRC check failed" in refusal(
        counts_of, "10x_mtx", tmp_path / "m.tar.gz"
    )


def test_a_garbled_matrix_in_hdf5_is_refused_by_its_name(tmp_path):
    write_by_hand(tmp_path / "a.h5ad", as_anndata(), COUNTS, "<i4")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["obs"].attrs["encoding-version"]
        file["obs"].attrs["encoding-type"] = "of another time"
    message = refusal(counts_of, "h5ad", tmp_path / "a.h5ad")
    assert "a.h5ad cannot be read as h5ad (No read method registered" in message


def test_a_table_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes("cell,Müller\nx,1\n".encode("latin-1"))
    assert "a.csv cannot be read as csv ('utf-8' codec can't decode" in refusal(
        counts_of, "csv", tmp_path / "a.csv"
    )


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "No such file" in refusal(counts_of, "h5ad", tmp_path / "a.h5ad")


# Data sets with readers of their own


def test_counts_of_pbmc68k_are_rebuilt():
    adata = read("pbmc68k_reduced", {"counts": [PBMC]})
    assert adata.shape == (700, 765)
    assert adata.obs["cell_type"].nunique() == 10
    original = ad.read_h5ad(PBMC)
    total = original.obs["n_counts"].to_numpy()[:, None]
    again = np.log1p(adata.X.toarray() * 1e4 / total)
    np.testing.assert_allclose(again, original.raw.X.toarray(), atol=1e-3)


def test_counts_that_are_not_whole_are_refused(tmp_path):
    adata = ad.read_h5ad(PBMC)
    adata.obs["n_counts"] *= 1.05
    adata.write_h5ad(tmp_path / "off.h5ad")
    with pytest.raises(UserError, match="are not whole numbers"):
        read("pbmc68k_reduced", {"counts": [tmp_path / "off.h5ad"]})


def test_a_file_that_is_not_pbmc68k_is_refused(tmp_path):
    as_anndata().write_h5ad(tmp_path / "a.h5ad")
    assert "a.h5ad cannot be read as pbmc68k_reduced" in refusal(
        counts_of, "pbmc68k_reduced", tmp_path / "a.h5ad"
    )
    adata = as_anndata()
    adata.obs["n_counts"] = 1.0
    adata.write_h5ad(tmp_path / "b.h5ad")
    assert "b.h5ad cannot be read as pbmc68k_reduced" in refusal(
        counts_of, "pbmc68k_reduced", tmp_path / "b.h5ad"
    )


def test_digits_are_those_of_scikit_learn():
    adata = read("digits", {"counts": [DIGITS]})
    digits = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(adata.X.toarray(), digits.data)
    np.testing.assert_array_equal(adata.obs["cell_type"].astype(int), digits.target)


def test_a_table_that_is_not_digits_is_refused(tmp_path):
    with gzip.open(tmp_path / "table.gz", "wt") as file:
        file.write("1,2,3\n4,5,6\n")
    with pytest.raises(UserError, match=r"shape \(2, 3\)"):
        read("digits", {"counts": [tmp_path / "table.gz"]})


def test_blobs_are_drawn_without_files():
    adata = read("blobs", {}, n_vars=3, n_cells=4, n_classes=2)
    assert adata.shape == (16, 3)
    assert adata.uns["real"]


# Real data


def test_pbmc3k_has_the_counts_that_10x_published(data_dir):
    adata = counts_of("h5ad", data_dir / "pbmc3k_raw.h5ad")
    assert adata.shape == (2700, 32738)
    assert adata.X.nnz == 2_286_884
    assert adata.X.sum(dtype=np.float64) == 6_390_631


def test_kang_has_eight_types_in_two_conditions(data_dir):
    adata = counts_of("h5ad", data_dir / "kang_6587x9015.h5ad")
    assert adata.shape == (6587, 9015)
    assert adata.obs["cell_type"].nunique() == 8
    assert dict(adata.obs["condition"].value_counts()) == {"stimulated": 3405, "control": 3182}


def test_mnist_holds_out_its_test_images(data_dir):
    names = {"images": "train-images-idx3", "labels": "train-labels-idx1"}
    names |= {"test_images": "t10k-images-idx3", "test_labels": "t10k-labels-idx1"}
    adata = read(
        "idx", {role: [data_dir / "mnist" / f"{name}-ubyte.gz"] for role, name in names.items()}
    )
    assert adata.shape == (70_000, 784)
    assert (adata.obs["split"] == "held_out").sum() == 10_000
    assert list(adata.obs["cell_type"][:5]) == ["5", "0", "4", "1", "9"]
    assert adata.X.max() == 255
