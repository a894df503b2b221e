"""Fail unless the quick start left every output of every stage, no seed failed, and every score is a finite number."""

import itertools
import math
import sys
from pathlib import Path

sys.path.insert(0, "scripts")

from sclatent.metrics import METRICS
from sclatent.tables import read_table

RESULTS = Path("results")
STUDY = RESULTS / "studies" / "quickstart"
DATASETS = ["pbmc68k_reduced", "digits"]
MODELS = ["pca", "ae", "beta_vae", "beta_vsc"]
STOCHASTIC = ["beta_vae", "beta_vsc"]
SEEDS = [0, 1, 2]
SAMPLE_CLUSTERINGS = [("sample", "kmeans_latent"), ("sample", "louvain_latent")]
CLUSTERINGS = [("mean", "kmeans_latent"), ("mean", "louvain_latent"), ("mean", "kmeans_tsne")]

expected = [RESULTS / "report.html", RESULTS / "configuration.yaml"]
expected += [STUDY / name for name in ("scores.tsv", "runs.tsv", "summary.tsv", "resources.tsv", "headline.txt", "headline.html")]
for figure in ("score_heatmap/all", "quality_control/pbmc68k_reduced"):
    expected += [STUDY / "figures" / f"{figure}.{kind}" for kind in ("svg", "ipynb")]
for dataset in DATASETS:
    expected += [RESULTS / "data" / dataset / name for name in ("counts.h5ad", "preprocessed.h5ad", "qc.tsv", "qc_cells.tsv")]
    expected += [STUDY / dataset / name for name in ("umap.h5ad", "scores.tsv")]
    expected += [STUDY / "figures" / "latent_space" / f"{dataset}.{kind}" for kind in ("svg", "ipynb")]
for dataset, model in itertools.product(DATASETS, MODELS):
    expected += [STUDY / dataset / model / name for name in ("latents.h5ad", "tsne.h5ad", "clusters.tsv")]
    for seed in SEEDS:
        run = RESULTS / "runs" / dataset / model / str(seed)
        expected += [run / name for name in ("weights.safetensors", "run.json", "history.tsv")]

problems = [f"missing or empty: {path}" for path in expected if not path.is_file() or path.stat().st_size == 0]
if not problems:
    runs = read_table(STUDY / "runs.tsv", "runs")
    scores = read_table(STUDY / "scores.tsv", "scores")
    problems += [
        f"failed run: {run.dataset} {run.model} {run.seed}: {run.reason}" for run in runs.itertuples() if run.status == "failed"
    ]
    problems += [f"not finite: {score}" for score in scores.itertuples() if not math.isfinite(score.value)]
    asked = set(itertools.product(DATASETS, MODELS, SEEDS, CLUSTERINGS, METRICS))
    asked |= set(itertools.product(DATASETS, STOCHASTIC, SEEDS, SAMPLE_CLUSTERINGS, METRICS))
    scored = {(row.dataset, row.model, row.seed, (row.latent, row.method), row.metric) for row in scores.itertuples()}
    problems += [f"no score, or one not asked for: {run}" for run in sorted(asked ^ scored)]
    memory = read_table(STUDY / "resources.tsv", "resources")["peak_memory"].max()
    problems += [f"a job took {memory:.0f} MB, over 2000"] if memory > 2000 else []
print("\n".join(problems) or f"all {len(expected)} outputs are there, all {len(scores)} scores are finite")
sys.exit(bool(problems))
