"""The stand-in for conda, and which environment a job names. `test_slurm.py` runs the quick start
in those environments.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conda_standin import without_environment
from test_environments import ENVIRONMENTS

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def create(conda: Path, folder: Path, *pins: str) -> subprocess.CompletedProcess:
    """Have the stand-in build folder/env from pins."""
    file = folder / "pins.yaml"
    file.write_text("dependencies:\n" + "".join(f"  - {pin}\n" for pin in pins))
    command = [
        conda / "bin" / "conda",
        "env",
        "create",
        "--quiet",
        "--no-default-packages",
        "--file",
        file,
    ]
    command += ["--prefix", folder / "env"]
    return subprocess.run(
        command, env=without_environment(conda), capture_output=True, text=True, check=False
    )


def test_the_stand_in_builds_what_is_pinned_and_what_that_needs_and_no_more(conda, tmp_path):
    run = create(conda, tmp_path, f"python ={PYTHON}", f"jinja2 ={version('jinja2')}")
    assert run.returncode == 0, run.stderr
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        tmp_path / "env" / "bin" / "python",
        "list",
        "--format",
        "json",
    ]
    held = json.loads(subprocess.run(pip, capture_output=True, check=True).stdout)
    assert {package["name"].lower(): package["version"] for package in held} == {
        "jinja2": version("jinja2"),
        "markupsafe": version("markupsafe"),
    }


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        (
            [f"python ={PYTHON}", "jinja2 =0.0.0"],
            f"jinja2==0.0.0 is wanted, but {version('jinja2')} is installed here",
        ),
        ([f"python ={PYTHON}", "no-such-package =1"], "no-such-package==1 is not installed here"),
        (["python =2.7"], f"wants Python 2.7, but the stand-in for conda runs on {PYTHON}"),
    ],
)
def test_an_impossible_pin_is_an_error(conda, tmp_path, pins, words):
    run = create(conda, tmp_path, *pins)
    assert run.returncode != 0
    assert words in run.stderr


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("device", "environment"), [("auto", "torch"), ("cpu", "torch"), ("cuda", "torch_cuda")]
)
def test_the_build_of_torch_follows_the_configured_device(conda, workflow, device, environment):
    shell = ("env", f"PATH={conda / 'bin'}:{os.environ['PATH']}")
    options = ("--software-deployment-method", "conda", "--config", f"device={device}")
    run = workflow.snakemake(
        "-n", *options, "--", "results/runs/digits/pca/0/run.json", prefix=shell
    )
    assert run.returncode == 0, run.stdout
    named = {
        name
        for name in ENVIRONMENTS
        if f"Conda environment envs/{name}.yaml will be created" in run.stdout
    }
    assert named == {"data", environment}
