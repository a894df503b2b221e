# Needs:    the merged configuration.
# Makes:    nothing; CONFIG (the checked configuration) and the helpers that other rules files share.
# Promises: a mistake of the user ends the run here, in one line with its cure and exit code 1.

import os
import sys
import time
from pathlib import Path

BASE = Path(workflow.basedir)
STARTED = time.time()
sys.path.insert(0, str(BASE / "scripts"))

from sclatent.config import load
from sclatent.dependencies import code_of
from sclatent.errors import UserError
from sclatent.models import family_file
from sclatent.preflight import check_unlocked, check_writable, runs_jobs

try:
    CONFIG = load(config)
    if workflow.is_main_process and not workflow.output_settings.dryrun and runs_jobs(sys.argv):
        check_writable("results")
        check_unlocked(".snakemake")
except UserError as error:
    sys.exit(f"sclatent: {error}")


wildcard_constraints:
    study="|".join(CONFIG.studies),
    dataset="|".join(CONFIG.datasets),
    model="|".join(CONFIG.models),
    seed=r"\d+",
    figure=r"[a-z_]+",
    subject="|".join(["all", *CONFIG.datasets]),


def code(script, *others):
    """A script and the library files that it and others rest on. A change in them, and in no other, reruns what names them."""
    path = BASE / "scripts" / f"{script}.py"
    return [os.path.relpath(file) for file in [path, *code_of([path, *others])]]


def code_with_family(script):
    """Input function: `code` of a script that runs the model of the rule's wildcard."""
    return lambda wildcards: code(script, family_file(CONFIG.models[wildcards.model].family))


def over_study(*patterns):
    """Input function: patterns over the data sets, models and seeds of a study, as far as no wildcard of the rule fixes them."""

    def paths(wildcards):
        study = CONFIG.studies[wildcards.study]
        values = {"study": wildcards.study, "dataset": study.datasets, "model": study.models, "seed": study.seeds}
        return expand(list(patterns), **{**values, **wildcards})

    return paths


def titles(things, names):
    """What to call some of the named things, by name."""
    return {name: things[name].title for name in names}


FIGURES = {"latent_space": "Latent spaces", "score_heatmap": "Scores"}


def figures_of(study):
    """Every figure of a study."""
    subjects = [("latent_space", dataset) for dataset in CONFIG.studies[study].datasets] + [("score_heatmap", "all")]
    return [f"results/studies/{study}/figures/{figure}/{subject}.svg" for figure, subject in subjects]


def data_of_figure(wildcards):
    """The files that a figure draws."""
    folder = f"results/studies/{wildcards.study}"
    if wildcards.figure == "score_heatmap":
        return {"summary": f"{folder}/summary.tsv"}
    models = CONFIG.studies[wildcards.study].models
    return {
        "umap": f"{folder}/{wildcards.subject}/umap.h5ad",
        "tsne": expand("{folder}/{{subject}}/{model}/tsne.h5ad", folder=folder, model=models),
        "clusters": expand("{folder}/{{subject}}/{model}/clusters.tsv", folder=folder, model=models),
    }


def parameters_of_figure(wildcards, input):
    """The parameters of a figure's notebook: its files and the names to show."""
    study = CONFIG.studies[wildcards.study]
    models = titles(CONFIG.models, study.models)
    if wildcards.figure == "score_heatmap":
        return {"summary": input.summary, "datasets": titles(CONFIG.datasets, study.datasets), "models": models}
    return {
        "title": CONFIG.datasets[wildcards.subject].title,
        "models": models,
        "umap": input.umap,
        "tsne": dict(zip(study.models, input.tsne)),
        "clusters": dict(zip(study.models, input.clusters)),
    }


def print_headlines():
    """Print the headline table of every study and where the report lies, if this run built the report."""
    page = Path("results/report.html")
    if not page.exists() or page.stat().st_mtime < STARTED:
        return
    for name in CONFIG.run:
        _, table = Path(f"results/studies/{name}/headline.txt").read_text().split("\n", maxsplit=1)  # provenance first
        print(f"\n{CONFIG.studies[name].title}: mean ± sd over {len(CONFIG.studies[name].seeds)} seeds\n\n{table}")
    print(f"Report: {page}")
