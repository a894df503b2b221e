"""The profiles: what they have in common, and that for other schedulers with a stand-in for its
command.
"""

import re
import stat

import pytest
import yaml
from helpers import PROJECT

from sclatent.io.records import read_record

pytestmark = pytest.mark.workflow

PROFILES = sorted(path.parent.name for path in (PROJECT / "profiles").glob("*/config.yaml"))
DATA = "results/data/digits/preprocessed.h5ad"
# A family whose training fails if another one is under way.
ALONE_HYPERPARAMETERS = """
from sclatent.families import pca


class Hyperparameters(pca.Hyperparameters):
    pass
"""
ALONE = """
import time
from pathlib import Path

from sclatent.models import pca


class Model(pca.Model):
    def fit(self, *arguments):
        Path("busy").mkdir()
        time.sleep(2)
        super().fit(*arguments)
        Path("busy").rmdir()
"""
# Writes down how it was called and runs the script at once.
QSUB = """#!/bin/sh
echo "$*" >> qsub.txt
for script; do :; done
sh "$script" > job.txt 2>&1
echo 1
"""


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_documented_and_plans_the_quick_start(workflow, profile):
    project = workflow.folder
    text = (project / "profiles" / profile / "config.yaml").read_text()
    assert not re.search(r"(^|[\s='\"])/(?!bin/)", text), "an absolute path"
    assert yaml.safe_load(text)["keep-going"]
    assert workflow.snakemake("-n", "--workflow-profile", f"profiles/{profile}").returncode == 0
    assert f"| `{profile}` |" in (PROJECT / "docs" / "clusters-and-gpus.md").read_text()


def test_a_job_of_another_scheduler_asks_for_what_its_rule_needs(workflow, monkeypatch):
    command = workflow.folder / "bin" / "qsub"
    command.parent.mkdir()
    command.write_text(QSUB)
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    study = {
        "title": "S",
        "datasets": ["digits"],
        "models": ["pca"],
        "seeds": [0],
        "embedding": {"max_iter": 250},
    }
    workflow.configure(run=["s"], studies={"s": study})
    assert workflow.snakemake("--cores", "1", DATA).returncode == 0
    target = "results/studies/s/digits/pca/clusters.tsv"
    run = workflow.snakemake(
        "--workflow-profile", "profiles/generic", "--latency-wait", "5", "--", target
    )
    assert run.returncode == 0, run.stdout
    train, latents = (workflow.folder / "qsub.txt").read_text().splitlines()
    size = workflow.path("data/digits/preprocessed.h5ad").stat().st_size / 1e6
    assert int(re.search(r"-l h_vmem=(\d+)M ", train)[1]) == pytest.approx(2000 + 3 * size, abs=5)
    assert int(re.search(r"-l h_rt=0:(\d+):0 ", train)[1]) == pytest.approx(60, abs=1)
    assert all(words in train for words in ("-N train ", "-pe smp 1 "))
    assert (
        int(re.search(r"-l h_rt=0:(\d+):0 ", latents)[1]) > 20 + 30 + 60
    )  # encode, cluster and embed_tsne, one after another


def test_jobs_use_the_gpu_of_this_machine_one_after_another_and_only_if_there_is_one(workflow):
    workflow.add_family("alone", ALONE_HYPERPARAMETERS, ALONE)
    model = {"title": "Alone", "family": "alone", "hyperparameters": {"latent_dim": 2}}
    study = {"title": "S", "datasets": ["digits"], "models": ["alone"], "seeds": [0, 1]}
    workflow.configure(run=["s"], models={"alone": model}, studies={"s": study})
    assert workflow.snakemake("--cores", "1", DATA).returncode == 0
    records = [f"results/runs/digits/alone/{seed}/run.json" for seed in (0, 1)]
    refused = workflow.snakemake("--cores", "2", "--config", "device=cuda", "--", *records)
    assert refused.returncode == 1
    assert (
        "train digits alone 0: device is cuda, but the job was given no GPU; run with "
        "--resources gpu=1" in refused.stdout
    )
    run = workflow.snakemake("--cores", "2", "--resources", "gpu=1", "--", *records)
    assert run.returncode == 0, run.stdout
    assert [read_record(workflow.folder / record)["status"] for record in records] == [
        "trained",
        "trained",
    ]
