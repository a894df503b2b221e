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
SUFFIXES = {
    "h5ad": (".h5ad",),
    "10x_h5": (".h5", ".hdf5"),
    "loom": (".loom",),
    "csv": (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz"),
    "10x_mtx": (".tar", ".tar.gz", ".tgz"),
}
