"""Provenance of an output: code, settings, inputs, versions, device, threads and seed."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sclatent import __version__
from sclatent.io.imports import imported_names

# Packages whose version can change a result, by what the code imports: itself, and those by which
# it computes in turn. Dask is not among them: it only cuts matrices into blocks.
PACKAGES = {
    "anndata": ("anndata",),
    "anndata.io.read_loom": ("loompy",),
    "h5py": ("h5py",),
    "igraph": ("igraph",),
    "matplotlib": ("matplotlib",),
    "numpy": ("numpy",),
    "pandas": ("pandas",),
    "papermill": ("papermill",),
    "plotly": ("plotly",),
    "pyarrow": ("pyarrow",),
    "safetensors": ("safetensors",),
    "scanpy": ("scanpy", "numba", "scikit-learn", "scikit-misc", "scipy"),
    "scipy": ("scipy",),
    "sklearn": ("scikit-learn", "scipy"),
    "torch": ("torch",),
    "typst": ("typst",),
    "umap": ("umap-learn", "numba", "pynndescent", "scikit-learn", "scipy"),
}


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(
    *,
    step: str,
    settings: Mapping[str, Any],
    inputs: Iterable[str],
    code: Iterable[str],
    seed: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
) -> dict:
    """Describe where an output comes from.

    Parameters
    ----------
    step
        Name of the step.
    settings
        Its parameters and wildcards.
    inputs
        Paths of its data.
    code
        Paths of its source files. The record names the versions of the packages in `PACKAGES` that
        these files import, so it is the same in every environment with these versions.
    seed, threads, device
        How the step ran.

    Returns
    -------
    dict
        Ready for JSON. "inputs" maps paths to SHA-256; "fingerprint" is the SHA-256 of all other
        entries.
    """
    code = sorted(code)
    entries = {
        "sclatent": __version__,
        "step": step,
        "code": _sha256_of_text("".join(sha256_of(path) for path in code)),
        "settings": _sha256_of_text(_canonical(settings)),
        "inputs": {str(path): sha256_of(path) for path in inputs},
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _packages_of(code)},
        "device": device,
        "threads": threads,
        "seed": seed,
    }
    return {**entries, "fingerprint": _sha256_of_text(_canonical(entries))}


def as_text(provenance: Mapping[str, Any]) -> str:
    """Return a provenance as one line of JSON, for the header or the metadata of a file."""
    return _canonical(provenance)


def versions_of(provenances: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Collect the versions with which results were made.

    Parameters
    ----------
    provenances
        What `describe` returned for each result.

    Returns
    -------
    dict
        Versions of sclatent, Python and each package; several versions are joined by commas.
    """
    versions: dict[str, set[str]] = {}
    for origin in provenances:
        own = {"sclatent": origin["sclatent"], "Python": origin["python"]}
        for name, version in {**own, **origin["packages"]}.items():
            versions.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(several)) for name, several in versions.items()}


def _packages_of(code: Iterable[str]) -> list[str]:
    """Return the packages of `PACKAGES` that source files import, sorted."""
    names = {name for path in code for name in imported_names(Path(path))}
    return sorted(
        {
            package
            for imported, packages in PACKAGES.items()
            for package in packages
            if any(name == imported or name.startswith(f"{imported}.") for name in names)
        }
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
