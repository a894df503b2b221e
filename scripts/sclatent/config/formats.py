"""The formats of data sets: the files they take, and how names of files tell them."""

# The files that each format needs, by role. Formats with counts also take a table of annotations.
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
# Formats that name their cell types themselves, and conditions and test sets if they have them.
LABELLED = {"idx", "pbmc68k_reduced", "digits", "blobs"}
# Formats in which the values of a cell are the pixels of a square image, row by row.
IMAGES = {"idx", "digits"}
# The ends of names by which a format is known if the configuration does not give it.
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
    """Return the part of a 10x matrix that a file is, by its name, or None.

    Files whose name begins with a dot are macOS's own, and no part.
    """
    if name.startswith("."):
        return None
    plain = name.removesuffix(".gz")
    for part, ends in MATRIX_PARTS.items():
        if plain.endswith(ends):
            return part
    return None
