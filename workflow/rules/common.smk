# Needs:    the merged configuration.
# Makes:    nothing; CONFIG (the checked configuration), PLAN (what the rules compute from it), FIGURES
#           and GATHERED (the same for figures, and for files that rules gather), HOOKS, and helpers
#           that several rules files use.
# Promises: a mistake of the user ends the run here, in one line with its cure and exit code 1.

import logging
import math
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.logging import logger

BASE = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(BASE / "scripts"))

from sclatent.common.errors import UserError
from sclatent.config.load import load
from sclatent.config.tables import with_tables
from sclatent.families.registry import family_files
from sclatent.figures.catalogue import CATALOGUE
from sclatent.pipeline.code import code_digest
from sclatent.pipeline.failures import in_words
from sclatent.pipeline.figures import FigurePlan, INTERACTIVE, PICTURES
from sclatent.pipeline.gathered import Gathered
from sclatent.pipeline.hooks import Hooks
from sclatent.pipeline.plan import COLLECTED, KEPT, Plan
from sclatent.pipeline.preflight import check_records, source_files

logger.addFilter(in_words)
logging.raiseExceptions = False  # a log on a full disk must not print tracebacks

try:
    CONFIG = load(with_tables(config, BASE / "config"))
    PLAN = Plan(CONFIG)
    FIGURES = FigurePlan(PLAN)
    GATHERED = Gathered(PLAN, FIGURES)
    HOOKS = Hooks(PLAN)
    check_records()
except UserError as error:
    sys.exit(f"sclatent: {error}")

# Scripts read these from the configuration, not from parameters: neither where files come from nor
# where models run makes a result stale.
config["data_directories"] = CONFIG.data_directories
config["device"] = CONFIG.device
config["published"] = {name: file.model_dump() for name, file in PLAN.published.items()}

# The captions of figures, too: as parameters, they would redraw a figure if a word changed.
config["captions"] = {name: text.caption for name, text in CATALOGUE.items()}

# Jobs that can use a GPU ask for one unless none is wanted; the profile says if they get it.
GPUS = 0 if CONFIG.device == "cpu" else 1
# Conda must choose torch's build before it is known where a job will run. The CUDA build, of some
# gigabytes, is taken only if the configuration demands CUDA: what this machine has must not decide,
# or a move to another machine would rerun everything.
TORCH = "torch_cuda" if CONFIG.device == "cuda" else "torch"


wildcard_constraints:
    study="|".join(CONFIG.studies),
    dataset="|".join(map(re.escape, PLAN.datasets)),
    model="|".join(map(re.escape, PLAN.models)),
    seed=r"\d+",
    file="|".join(map(re.escape, PLAN.published)),
    figure="|".join([*PICTURES, *INTERACTIVE]),
    subject="|".join(map(re.escape, FIGURES.subjects())) or "none",


def code_with_family(script):
    """Parameter function: the digest of a script and of the model family of the wildcards."""

    @cache  # a study can have a thousand jobs per family
    def digest(family):
        return code_digest(script, *family_files(family))

    return lambda wildcards: digest(PLAN.models[wildcards.model].family)


def growing(base, per_mb):
    """Resource function: base + per_mb x size of the input in MB, multiplied by the attempt."""

    def amount(wildcards, input, attempt):
        size = sum(os.path.getsize(path) for path in set(input) if os.path.isfile(path)) / 1e6
        return math.ceil(attempt * (base + per_mb * size))

    return amount


def of_study(setting):
    """Parameter function: a setting of the study of the wildcards."""
    return lambda wildcards: setting(PLAN.study(wildcards.study))


def over_models(pattern, floors=False):
    """Input function: a path per model of a study, and with `floors` per floor, on a data set."""

    def paths(wildcards):
        models = PLAN.study(wildcards.study).models
        if floors:
            models = PLAN.models_and_floors(wildcards.study)
        return expand(pattern, **wildcards, model=models)

    return paths


def over_seeds(pattern):
    """Input function: a path per seed of a study, of one model on one data set."""
    return lambda wildcards: expand(pattern, **wildcards, seed=PLAN.study(wildcards.study).seeds)


def first_page():
    """Return the start page of the report: that of this run once it is written."""
    page = os.path.abspath("results/overview.rst")
    return page if os.path.exists(page) else "workflow/report/workflow.rst"
