"""Conda per rule: each job of the quick start inside nothing but the environment that its rule names.

Its jobs go through Slurm where that is installed, as on a cluster, so that one run shows both. The environments are built by a
stand-in for conda, with pip (`conda_standin`). Tests that need one are skipped where pip reaches no package index, which is tried
with one small package of the lock, and where Python is another than the environments name.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conda_standin import build, pins_of, put_into
from conftest import PROJECT, Workflow, differing
from slurm import ALONE, Slurm, missing
from test_environments import ENVIRONMENTS, imports_of_environment

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What reading the Snakefile needs. Snakemake lets its jobs see these, and what they need, behind what their environment holds.
BASE = ("pydantic", "pyyaml", "snakemake", "snakemake-executor-plugin-slurm")


@pytest.fixture(scope="module")
def conda(tmp_path_factory) -> Path:
    """The folder of the stand-in for conda."""
    folder = tmp_path_factory.mktemp("conda")
    put_into(folder)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> None:
    """Skip what needs environments where they cannot be built."""
    if (wanted := pins_of(PROJECT / "envs" / "report.yaml")["python"]) != PYTHON:
        pytest.skip(f"the environments name Python {wanted}, and this is {PYTHON}")
    folder = tmp_path_factory.mktemp("download")
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--retries", "1", "--no-deps", "--dest", folder]
    run = subprocess.run([*pip, f"markupsafe=={version('markupsafe')}"], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"needs a package index, where pip finds markupsafe: {run.stderr.strip()}")


def without_environment(conda: Path) -> dict[str, str]:
    """The variables of a shell that has the stand-in for conda, and no Python of ours."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "SCLATENT_DATA")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PATH": f"{conda / 'bin'}:{os.defpath}"}


def create(conda: Path, folder: Path, *pins: str) -> subprocess.CompletedProcess:
    """Have the stand-in build folder/env from pins."""
    file = folder / "pins.yaml"
    file.write_text("dependencies:\n" + "".join(f"  - {pin}\n" for pin in pins))
    command = [conda / "bin" / "conda", "env", "create", "--quiet", "--no-default-packages", "--file", file]
    command += ["--prefix", folder / "env"]
    return subprocess.run(command, env=without_environment(conda), capture_output=True, text=True, check=False)


def test_the_stand_in_builds_what_is_pinned_and_what_that_needs_and_no_more(conda, index, tmp_path):
    run = create(conda, tmp_path, f"python ={PYTHON}", f"jinja2 ={version('jinja2')}")
    assert run.returncode == 0, run.stderr
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "env" / "bin" / "python", "list", "--format", "json"]
    held = json.loads(subprocess.run(pip, capture_output=True, check=True).stdout)
    assert {package["name"].lower(): package["version"] for package in held} == {
        "jinja2": version("jinja2"),
        "markupsafe": version("markupsafe"),
    }


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        ([f"python ={PYTHON}", "jinja2 =0.0.0"], "Cannot install jinja2==0.0.0"),
        (["python =2.7"], f"wants Python 2.7, but the stand-in for conda runs on {PYTHON}"),
    ],
)
def test_an_impossible_pin_is_an_error(conda, index, tmp_path, pins, words):
    run = create(conda, tmp_path, *pins)
    assert run.returncode != 0
    assert words in run.stderr


@pytest.mark.parametrize(("device", "environment"), [("auto", "torch"), ("cpu", "torch"), ("cuda", "torch_cuda")])
def test_the_build_of_torch_follows_the_configured_device(conda, workflow, device, environment):
    shell = ("env", f"PATH={conda / 'bin'}:{os.environ['PATH']}")
    options = ("--software-deployment-method", "conda", "--config", f"device={device}")
    run = workflow.snakemake("-n", *options, "--", "results/runs/digits/pca/0/run.json", prefix=shell)
    assert run.returncode == 0, run.stdout
    named = {name for name in ENVIRONMENTS if f"Conda environment envs/{name}.yaml will be created" in run.stdout}
    assert named == {"data", environment}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm, or None where there can be none."""
    if missing():
        yield None
        return
    with Slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(conda, index, slurm, tmp_path_factory):
    """The folder of the project after a quick start, and its paper, in which each rule had an environment of its own."""
    folder = Workflow(tmp_path_factory.mktemp("per_rule")).folder
    build(folder / "base", {name: version(name) for name in BASE})
    command = [folder / "base" / "bin" / "python", "-m", "snakemake", "--software-deployment-method", "conda"]
    command += ["--cores", "all"] if slurm is None else ["--workflow-profile", "profiles/slurm", *ALONE]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    run = subprocess.run([*command, "--", "all", "paper"], cwd=folder, env=without_environment(conda), check=False, **streams)
    assert run.returncode == 0, run.stdout
    yield folder
    shutil.rmtree(folder)  # some gigabytes


def test_environments_per_rule_give_the_same_bytes(finished, slurm, quick_start):
    device = set() if slurm is None else {"configuration.yaml"}  # whose device is that of the profile
    assert differing(finished / "results", quick_start) == device


def test_on_slurm_each_training_is_a_job_and_what_is_short_shares_some(finished, slurm):
    if slurm is None:
        pytest.skip(missing())
    jobs = slurm.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    asked = [job["Comment"] for job in jobs]
    assert sum("train" in name for name in asked) == len(list((finished / "results" / "runs").glob("*/*/*/run.json")))
    assert sum("figures" in name for name in asked) < 5  # of more than twenty notebooks
    assert {job["TresPerJob"] for job in jobs if "TresPerJob" in job} == set()


def test_an_environment_holds_what_its_rules_import_without_the_packages_of_snakemake(finished):
    built = {file.read_text(): file.with_suffix("") for file in (finished / ".snakemake" / "conda").glob("*.yaml")}
    missing = {}
    for name in set(ENVIRONMENTS) - {"torch_cuda"}:
        python = built[(PROJECT / "envs" / f"{name}.yaml").read_text()] / "bin" / "python"
        imports = f"import {', '.join(imports_of_environment(name))}"
        run = subprocess.run([python, "-I", "-c", imports], capture_output=True, text=True, check=False)
        if run.returncode:
            missing[name] = run.stderr
    assert missing == {}
