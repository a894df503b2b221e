"""PBMC 3k and the models of the configuration as the workflow trains them, for benchmarks.

Without pbmc3k_raw.h5ad in a folder of SCLATENT_DATA or in data/, counts of its shape and density
stand for it, without cell types.
"""

import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from simulated import draw_counts, draw_rates

from sclatent.config.datasets import QualityControl
from sclatent.config.load import Config, load
from sclatent.config.models import Training
from sclatent.config.tables import with_tables
from sclatent.data.ingest import ingest
from sclatent.data.locations import data_directories, find
from sclatent.data.preprocess import preprocess
from sclatent.data.readers.registry import read
from sclatent.io.expression import Values
from sclatent.training.labelled import TrainingData
from sclatent.training.run import RunSettings

PROJECT = Path(__file__).parents[2]
N_CELLS, N_GENES, DENSITY = 2638, 13714, 0.062  # after quality control


def configuration() -> Config:
    """Return the configuration of the quick start."""
    return load(with_tables({}, PROJECT / "config"))


def preprocessed(config: Config, n_top_genes: int | None = None) -> ad.AnnData:
    """Return the data as the workflow preprocesses them, with all genes or with variable ones."""
    dataset = config.datasets["pbmc3k_h5ad"].model_copy(update={"n_top_genes": n_top_genes})
    path = find(dataset.files["counts"].name, data_directories(config.data_directories))
    if path is None:
        return preprocess(simulated(), QualityControl(), n_top_genes=n_top_genes)[0]
    source = read(dataset.format, {"counts": [path]}, layer=dataset.layer)
    counts = ingest(
        source, None, **dataset.model_dump(include={"columns", "control", "keep", "drop"})
    )
    kept = (
        "qc",
        "normalization",
        "target_sum",
        "n_top_genes",
        "flavor",
        "scale",
        "holdout",
        "drop_unlabelled",
    )
    return preprocess(counts, **{name: getattr(dataset, name) for name in kept})[0]


def simulated() -> ad.AnnData:
    """Return counts drawn at random, of the kind "counts"."""
    rng = np.random.default_rng(0)
    counts = draw_counts(rng, N_CELLS, draw_rates(rng, N_GENES, DENSITY)).astype(np.int32)
    obs = pd.DataFrame(
        {"pct_counts_mt": np.zeros(N_CELLS)}, index=[f"cell_{i}" for i in range(N_CELLS)]
    )
    return ad.AnnData(
        obs=obs,
        var=pd.DataFrame(index=[f"gene_{i}" for i in range(N_GENES)]),
        layers={"counts": counts},
    )


def training_data(adata: ad.AnnData) -> TrainingData:
    """Return the cells as a run reads them."""
    return TrainingData(
        Values(adata.X, adata.obs_names.to_numpy(), np.ones(adata.n_obs, dtype=bool))
    )


def settings_of(config: Config, model: str, **training) -> RunSettings:
    """Return the settings of a run of a model, with some settings of its training replaced."""
    chosen = config.models[model]
    one_phase = chosen.training.model_dump(exclude={"phases"}) | training
    return RunSettings(
        family=chosen.family,
        hyperparameters=chosen.hyperparameters.model_dump(),
        input=chosen.input,
        training=Training.model_validate(one_phase),
        share=None,
    )
