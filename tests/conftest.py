import os
import sys
from pathlib import Path

import pytest
from conda_standin import put_into
from filelock import FileLock
from helpers import PROJECT, Workflow, merged_config
from hypothesis import settings
from small_study import small_study

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # models in tests are small: more threads only wait for each other
settings.register_profile(
    "project", deadline=None, derandomize=True
)  # the same examples everywhere, however slow the machine
settings.load_profile("project")

LONGEST = ["test_slurm", "test_workflow", "test_faults"]


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
def deterministic():
    """Bind torch to one thread and to operations that repeat, from seed 0, for the time of a test;
    models in tests are small.
    """
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(0)
    with threadpool_limits(1):
        yield
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(threads)


@pytest.fixture
def project() -> Path:
    """The folder of the project."""
    return PROJECT


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
            f"needs real data that no package ships: set SCLATENT_DATA to the folder with "
            f"{', '.join(needed)}"
        )
    return folder


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A fresh copy of the project."""
    return Workflow(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """The small study, run to its report by the first test process that needs it. Tests look at it
    and do not change it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all test processes
    folder, said = shared / "finished", shared / "finished.txt"
    with FileLock(shared / "finished.lock"):
        if not said.exists():
            folder.mkdir(exist_ok=True)
            run = small_study(folder).snakemake("--cores", "2")
            assert run.returncode == 0, run.stdout
            said.write_text(run.stdout)
    workflow = Workflow(folder)
    workflow.stdout = said.read_text()
    return workflow


@pytest.fixture
def run(finished, tmp_path) -> Workflow:
    """A copy of the finished small study, to change."""
    return finished.copied(tmp_path / "run")


@pytest.fixture(scope="session")
def conda(tmp_path_factory) -> Path:
    """The folder of the stand-in for conda."""
    folder = tmp_path_factory.mktemp("conda")
    put_into(folder)
    return folder
