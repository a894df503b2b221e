"""The formats of data sets: what files they take, and how they are told from names."""

# The files that each format needs, by role. Those with counts also take a table of annotations.
ROLES = {
    "h5ad": {"counts"},
    "10x_h5": {"counts"},
    "10x_mtx": {"counts"},
    "loom": {"counts"},
    "csv": {"counts"},
    "geo_kang": {"archive", "genes", "cells"},
    "idx": {"images", "labels", "test_images", "test_labels"},
    "pbmc68k_reduced": {"counts"},
    "digits": {"counts"},
    "blobs": set(),
}
# These name their cell types themselves, and conditions and test sets where they have them.
LABELLED = {"idx", "pbmc68k_reduced", "digits", "blobs"}
IMAGES = {"idx", "digits"}  # the values of a cell are the pixels of a square image, row by row
SUFFIXES = {
    "h5ad": (".h5ad",),
    "10x_h5": (".h5", ".hdf5"),
    "loom": (".loom",),
    "csv": (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz"),
    "10x_mtx": (".tar", ".tar.gz", ".tgz"),
}
# The files of a 10x matrix folder, each gzipped or not and with any prefix.
MATRIX_PARTS = {
    "matrix": ("matrix.mtx",),
    "barcodes": ("barcodes.tsv",),
    "genes": ("features.tsv", "genes.tsv"),
}


def part_of_matrix(name: str) -> str | None:
    """Return which part of a 10x matrix a file is by its name, or None; names with a dot in front are macOS' own."""
    plain = name.removesuffix(".gz")
    return next(
        (
            part
            for part, ends in MATRIX_PARTS.items()
            if plain.endswith(ends) and not name.startswith(".")
        ),
        None,
    )
