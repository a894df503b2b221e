import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import yaml
from conda_standin import put_into
from hypothesis import settings
from scipy import sparse
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # models in tests are small: more threads only wait for each other
settings.register_profile(
    "project", deadline=None, derandomize=True
)  # the same examples everywhere, however slow the machine
settings.load_profile("project")

PROJECT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
# Results that say when or how fast jobs ran, or are made from such: times of jobs, summaries that hold them, what shows those.
# And the stamp, which has a name of its own for each folder of results.
TIMED = (
    r"(benchmarks|logs|checkpoints)/.*|\.made_by|overview\.rst|report\.html|paper\.pdf|.*\.ipynb"
)
TIMED += r"|.*/(resources|(\w+_)?summary)\.(tsv|parquet)|.*/figures/(score_heatmap|training)/.*"
LONGEST = ["test_slurm", "test_workflow", "test_faults"]
PARTS = ["Snakefile", "workflow", "scripts", "config", "envs", "profiles"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no core waits for another at the end."""
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)
        )
    )


@pytest.fixture(autouse=True)
def closed_figures():
    """Close what a test has drawn, if it has drawn anything."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def project() -> Path:
    """The folder of the project."""
    return PROJECT


def merged_config(*files: str) -> dict:
    """Return the configuration as the workflow merges it from its own files and from others."""
    own = re.findall('^configfile: "(.*)"', (PROJECT / "Snakefile").read_text(), re.MULTILINE)
    merged = {}
    for name in [*own, *files]:
        update_config(merged, load_configfile(PROJECT / name))
    return merged


@pytest.fixture(scope="session")
def raw_config() -> dict:
    """The configuration of the quick start as the workflow merges it."""
    return merged_config()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets that no package ships."""
    folder = Path(os.environ.get("SCLATENT_DATA", ""))
    needed = ["pbmc3k_raw.h5ad", "kang_6587x9015.h5ad", "mnist/train-images-idx3-ubyte.gz"]
    if not all((folder / name).is_file() for name in needed):
        pytest.skip(
            f"needs real data that no package ships: set SCLATENT_DATA to the folder with {', '.join(needed)}"
        )
    return folder


def write_by_hand(
    path: Path, adata: ad.AnnData, counts: np.ndarray, dtype, index_dtype="<i4", layout: str = "csr"
) -> None:
    """Write an AnnData file with the cells and genes of adata and with counts of any type and byte order."""
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "obs", adata.obs)
        ad.io.write_elem(file, "var", adata.var)
        if layout == "dense":
            file["X"] = counts.astype(dtype)
            file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            return
        values = (sparse.csr_matrix if layout == "csr" else sparse.csc_matrix)(counts)
        group = file.create_group("X")
        group.attrs.update(
            {
                "encoding-type": f"{layout}_matrix",
                "encoding-version": "0.1.0",
                "shape": counts.shape,
            }
        )
        group["data"] = values.data.astype(dtype)
        group["indices"] = values.indices.astype(index_dtype)
        group["indptr"] = values.indptr.astype(index_dtype)


class Workflow:
    """A copy of the project in a folder of its own, with a study small enough for a test."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            source = PROJECT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / part)

    def configure(self, **overrides) -> None:
        """Replace the quick start by overrides of the configuration."""
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(overrides))

    def snakemake(
        self, *arguments: str, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess:
        """Run Snakemake to its end, without the data directory of the tests; standard error is part of stdout."""
        return subprocess.run(
            [*prefix, *SNAKEMAKE, *arguments], **self._streams(), timeout=1800, check=False
        )

    @contextmanager
    def started(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen]:
        """Start Snakemake likewise, as a session of its own; what is left of it ends with the block."""
        process = subprocess.Popen(
            [*prefix, *SNAKEMAKE, *arguments], **self._streams(), start_new_session=True
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _streams(self) -> dict:
        environment = {name: value for name, value in os.environ.items() if name != "SCLATENT_DATA"}
        return {
            "cwd": self.folder,
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    def path(self, name: str) -> Path:
        return self.folder / "results" / name


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A fresh copy of the project."""
    return Workflow(tmp_path)


@pytest.fixture(scope="session")
def quick_start(tmp_path_factory) -> Path:
    """The results of a finished quick start: the project's own where nothing is to be done there, else made in minutes."""
    plan = subprocess.run(
        [*SNAKEMAKE, "-n"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if "Nothing to be done" in plan.stdout + plan.stderr:
        return PROJECT / "results"
    workflow = Workflow(tmp_path_factory.mktemp("quick_start"))
    run = workflow.snakemake("--cores", "all")
    assert run.returncode == 0, run.stdout
    return workflow.path("")


def differing(results: Path, expected: Path) -> set[str]:
    """Return the files of a results folder that are not, byte for byte, in another one, which may hold more.

    Left out is what says when or how fast jobs ran, and what holds such.
    """
    names = [str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()]
    compared = [name for name in names if not re.fullmatch(TIMED, name)]
    assert compared
    _, different, absent = filecmp.cmpfiles(results, expected, compared, shallow=False)
    return {*different, *absent}


@pytest.fixture(scope="session")
def conda(tmp_path_factory) -> Path:
    """The folder of the stand-in for conda."""
    folder = tmp_path_factory.mktemp("conda")
    put_into(folder)
    return folder
