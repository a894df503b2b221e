"""Where an output comes from: code, settings, inputs, package versions, device, threads, seed, and their fingerprint."""

import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sclatent import __version__
from sclatent.io.imports import imported_names

# Import name and distribution name of the packages whose version can change a result. Dask is not among them: it only cuts
# matrices into blocks.
PACKAGES = {
    "anndata": "anndata",
    "h5py": "h5py",
    "igraph": "igraph",
    "loompy": "loompy",
    "matplotlib": "matplotlib",
    "numba": "numba",
    "numpy": "numpy",
    "pandas": "pandas",
    "papermill": "papermill",
    "plotly": "plotly",
    "pyarrow": "pyarrow",
    "pynndescent": "pynndescent",
    "safetensors": "safetensors",
    "scanpy": "scanpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "skmisc": "scikit-misc",
    "torch": "torch",
    "typst": "typst",
    "umap": "umap-learn",
}
# igraph and pandas load these wherever they are installed: they count where the code of the step names them. So the record is the
# same in an environment that has no more than the step needs.
LOADED_UNUSED = {"matplotlib", "plotly", "pyarrow"}


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
    """Return the provenance of an output as a JSON-ready mapping; its "fingerprint" is the SHA-256 of all the rest.

    step: name of the step. settings: its parameters and wildcards. inputs: paths of its data. code: paths of the source
    files that it rests on. The versions are those of the packages loaded by now, so call it when the work is done.
    """
    code = sorted(code)
    named = {name.split(".")[0] for path in code for name in imported_names(Path(path))}
    used = {
        module: name
        for module, name in PACKAGES.items()
        if module in named or module not in LOADED_UNUSED
    }
    entries = {
        "sclatent": __version__,
        "step": step,
        "code": _sha256_of_text("".join(sha256_of(path) for path in code)),
        "settings": _sha256_of_text(_canonical(settings)),
        "inputs": {str(path): sha256_of(path) for path in inputs},
        "python": platform.python_version(),
        "packages": {
            name: importlib.metadata.version(name)
            for module, name in sorted(used.items())
            if module in sys.modules
        },
        "device": device,
        "threads": threads,
        "seed": seed,
    }
    return {**entries, "fingerprint": _sha256_of_text(_canonical(entries))}


def as_text(provenance: Mapping[str, Any]) -> str:
    """Return a provenance as one line of JSON, for the header or the metadata of a file."""
    return _canonical(provenance)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def versions_of(provenances: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions of the project, Python and each package that results were made with, several with commas."""
    found: dict[str, set[str]] = {}
    for origin in provenances:
        for name, version in {
            "sclatent": origin["sclatent"],
            "Python": origin["python"],
            **origin["packages"],
        }.items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
