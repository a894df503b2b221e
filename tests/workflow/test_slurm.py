"""The workflow on a Slurm of one private node, by the profiles for it, and each rule in a conda
environment of its own.

One run of the small study shows both, as on a cluster. The environments are built by a stand-in
for conda (`conda_standin`). Where there is no Slurm, the jobs run on this machine; where Python
is another than the environments name, that run is skipped.
"""

import shutil
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
import yaml
from conda_standin import build, pins_of, without_environment
from helpers import PROJECT, Workflow, differing
from slurm import ALONE, Slurm, missing
from small_study import small_study
from test_environments import ENVIRONMENTS, imports_of_environment

from sclatent.io.records import read_record

# A family whose training takes memory, writes down which GPU Slurm has given it, and waits as long
# as a file is there.
PROBE_HYPERPARAMETERS = """
from pydantic import Field
from sclatent.families import pca


class Hyperparameters(pca.Hyperparameters):
    megabytes: int = Field(0, description="memory to take for some seconds")
"""
PROBE = """
import os
import time
from pathlib import Path

import torch

from sclatent.models import pca


class Model(pca.Model):
    def __init__(self, n_features, n_vars, n_conditions, hyperparameters):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        self.megabytes = hyperparameters.megabytes

    def fit(self, *arguments):
        Path("gpus").mkdir(exist_ok=True)
        gpus = os.environ.get("SLURM_GPUS_ON_NODE", "none")
        Path("gpus", str(torch.initial_seed())).write_text(gpus)
        taken = torch.ones(self.megabytes, 250_000)
        until = time.monotonic() + 5 * len(taken[:1])
        while Path("wait").exists() or time.monotonic() < until:
            time.sleep(0.1)
        super().fit(*arguments)
"""
pytestmark = pytest.mark.slurm
DATA = "results/data/digits/preprocessed.h5ad"
# What reading the Snakefile needs. Snakemake lets its jobs see these, and what they need, behind
# what their environment holds.
BASE = ("pydantic", "pyyaml", "snakemake", "snakemake-executor-plugin-slurm")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Slurm for the tests of this file, None where there can be none."""
    if missing():
        yield None
        return
    with Slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture
def slurm(cluster) -> Slurm:
    """The Slurm of this file; without one, a test is skipped."""
    if cluster is None:
        pytest.skip(missing())
    return cluster


@pytest.fixture(scope="module")
def probe(tmp_path_factory) -> Workflow:
    """A copy of the project with models that report on their jobs; each test trains other seeds.
    Their data are there.
    """
    workflow = Workflow(tmp_path_factory.mktemp("probe"))
    workflow.add_family("probe", PROBE_HYPERPARAMETERS, PROBE)
    models = {
        "probe": {"title": "Probe", "family": "probe", "hyperparameters": {"latent_dim": 4}},
        "large": {
            "title": "Large",
            "family": "probe",
            "hyperparameters": {"latent_dim": 4, "megabytes": 2500},
        },
    }
    study = {"title": "Probes", "datasets": ["digits"], "models": list(models), "seeds": [0]}
    workflow.configure(run=["probes"], models=models, studies={"probes": study})
    run = workflow.snakemake("--cores", "1", DATA)
    assert run.returncode == 0, run.stdout
    return workflow


def submit(workflow: Workflow, profile: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake to its end by a profile for Slurm."""
    return workflow.snakemake("--workflow-profile", f"profiles/{profile}", *ALONE, *arguments)


def trainings(model: str, *seeds: int) -> list[str]:
    return ["--", *(f"results/runs/digits/{model}/{seed}/run.json" for seed in seeds)]


def status(workflow: Workflow, model: str, seed: int) -> str:
    return read_record(workflow.path(f"runs/digits/{model}/{seed}/run.json"))["status"]


def wait_for(what, seconds: float = 120):
    """Return what a call gives as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def per_rule(conda, cluster, tmp_path_factory):
    """The folder of a small study after its run, and its paper, in which each rule had an
    environment of its own.

    Its trainings take seconds, so ten share a job, as the guide to the profiles advises.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (wanted := pins_of(PROJECT / "envs" / "report.yaml")["python"]) != running:
        pytest.skip(f"the environments name Python {wanted}, and this is {running}")
    folder = small_study(tmp_path_factory.mktemp("per_rule")).folder
    profile = yaml.safe_load((folder / "profiles" / "slurm" / "config.yaml").read_text())
    profile["groups"].append("train=train")
    profile["group-components"].append("train=10")
    profile["set-resources"].append("train:turn=1")
    (folder / "profiles" / "mine").mkdir()
    (folder / "profiles" / "mine" / "config.yaml").write_text(yaml.safe_dump(profile))
    build(folder / "base", {name: version(name) for name in BASE})
    command = [
        folder / "base" / "bin" / "python",
        "-m",
        "snakemake",
        "--software-deployment-method",
        "conda",
    ]
    command += (
        ["--cores", "all"] if cluster is None else ["--workflow-profile", "profiles/mine", *ALONE]
    )
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    run = subprocess.run(
        [*command, "--", "all", "paper"],
        cwd=folder,
        env=without_environment(conda),
        check=False,
        **streams,
    )
    assert run.returncode == 0, run.stdout
    yield folder
    shutil.rmtree(folder)  # some gigabytes


def test_environments_per_rule_give_the_same_bytes(per_rule, cluster, finished):
    device = (
        set() if cluster is None else {"configuration.yaml"}
    )  # whose device is that of the profile
    assert differing(per_rule / "results", finished.path("")) == device


def test_on_slurm_what_is_short_shares_a_job(per_rule, slurm):
    jobs = slurm.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    trainings = len(list((per_rule / "results" / "runs").glob("*/*/*/run.json")))
    for group, most in {"data": 3, "train": trainings // 5, "latents": 10, "figures": 4}.items():
        assert 0 < sum(group in job["Comment"] for job in jobs) <= most
    assert {job["TresPerJob"] for job in jobs if "TresPerJob" in job} == set()


def test_an_environment_holds_what_its_rules_import_without_the_packages_of_snakemake(per_rule):
    built = {
        file.read_text(): file.with_suffix("")
        for file in (per_rule / ".snakemake" / "conda").glob("*.yaml")
    }
    lacking = {}
    for name in set(ENVIRONMENTS) - {"torch_cuda"}:
        python = built[(PROJECT / "envs" / f"{name}.yaml").read_text()] / "bin" / "python"
        imports = f"import {', '.join(imports_of_environment(name))}"
        run = subprocess.run(
            [python, "-I", "-c", imports], capture_output=True, text=True, check=False
        )
        if run.returncode:
            lacking[name] = run.stderr
    assert lacking == {}


def test_trainings_are_given_the_gpu_that_they_ask_for_and_no_more_jobs_are_queued_than_allowed(
    slurm, probe
):
    before = len(slurm.jobs())
    run = submit(
        probe, "slurm-gpu", "--config", "device=auto", "--jobs", "1", *trainings("probe", 0, 1)
    )
    assert run.returncode == 0, run.stdout
    assert [status(probe, "probe", seed) for seed in (0, 1)] == ["trained", "trained"]
    one, other = slurm.jobs()[before:]
    for job in (one, other):
        assert (job["JobState"], job["Partition"], job["TresPerJob"].strip()) == (
            "COMPLETED",
            "gpu",
            "gres:gpu:1",
        )
    assert [(probe.folder / "gpus" / str(seed)).read_text() for seed in (0, 1)] == ["1", "1"]
    assert one["EndTime"] <= other["SubmitTime"]


def test_a_gpu_that_does_not_work_fails_the_job_in_one_line(slurm, probe):
    run = submit(probe, "slurm-gpu", "--retries", "0", *trainings("probe", 2))
    assert run.returncode == 1
    assert "SLURM status is: 'FAILED'" in run.stdout
    assert not probe.path("runs/digits/probe/2/run.json").exists()
    assert (
        "sclatent: train digits probe 2: device is cuda, but torch sees no GPU; set device to auto"
        in run.stdout
    )


def test_a_cancelled_job_is_submitted_again_and_ends_in_the_same_bytes(slurm, probe):
    assert (
        probe.snakemake("--cores", "1", "--config", "device=cpu", *trainings("probe", 3)).returncode
        == 0
    )
    alone = probe.folder / "alone"
    probe.path("runs/digits/probe/3").rename(alone)
    (probe.folder / "gpus" / "3").unlink()
    wait = probe.folder / "wait"
    wait.touch()
    before = len(slurm.jobs())
    with probe.started(
        "--workflow-profile", "profiles/slurm", *ALONE, *trainings("probe", 3)
    ) as run:
        wait_for((probe.folder / "gpus" / "3").exists)
        (job,) = slurm.jobs()[before:]
        slurm.command("scancel", job["JobId"])
        wait.unlink()
        output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert f"SLURM-job '{job['JobId']}' failed, SLURM status is: 'CANCELLED'" in output
    assert [job["JobState"] for job in slurm.jobs()[before:]] == ["CANCELLED", "COMPLETED"]
    assert status(probe, "probe", 3) == "trained"
    assert differing(probe.path("runs/digits/probe/3"), alone) == set()


def test_a_job_that_takes_more_memory_than_it_asked_for_is_given_more(slurm, probe):
    before = len(slurm.jobs())
    run = submit(probe, "slurm", *trainings("large", 0))
    assert run.returncode == 0, run.stdout
    assert status(probe, "large", 0) == "trained"
    first, second = slurm.jobs()[before:]
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    asked = [int(job["MinMemoryNode"].removesuffix("M")) for job in (first, second)]
    assert asked[0] < 2500 < asked[1]
    assert f"SLURM-job '{first['JobId']}' failed" in run.stdout
