"""Fail unless the quick start left every output of every stage, no seed failed, and every score is
a finite number.
"""

import itertools
import math
import sys
from pathlib import Path

sys.path.insert(0, "scripts")

from sclatent.io.tables import read_table
from sclatent.metrics.agreement import AGREEMENT_METRICS as METRICS

RESULTS = Path("results")
STUDY, TREATMENT = RESULTS / "studies" / "quickstart", RESULTS / "studies" / "treatment"
DATASETS = ["pbmc68k_reduced", "digits"]
MODELS = ["pca", "ae", "beta_vae", "beta_vsc"]
FLOOR = "floor.pca_50"
STOCHASTIC = ["beta_vae", "beta_vsc"]
SEEDS = [0, 1, 2]
SAMPLE_METHODS = ["kmeans_latent", "louvain_latent", "leiden_latent"]
METHODS = [*SAMPLE_METHODS, "louvain_oracle", "leiden_oracle"]
HELD_OUT, TREATED_MODELS = "blobs.without_class_0", ["beta_vae", "cgmvae_blobs"]
TABLES = [
    "scores",
    "perturbation",
    "generation",
    "absent",
    "runs",
    "resources",
    "summary",
    "perturbation_summary",
    "generation_summary",
]

expected = [RESULTS / name for name in ("report.html", "overview.rst", "configuration.yaml")]
expected += [study / f"{name}.tsv" for study in (STUDY, TREATMENT) for name in TABLES]
expected += [study / f"headline.{kind}" for study in (STUDY, TREATMENT) for kind in ("txt", "html")]
expected += [
    study / "exports" / f"{name}.parquet" for study in (STUDY, TREATMENT) for name in TABLES
]
expected += [STUDY / "figures" / "latent_space_3d" / f"all.{kind}" for kind in ("html", "ipynb")]
for figure in ("quality_control/pbmc68k_reduced", "drawn_images/digits"):
    expected += [STUDY / "figures" / f"{figure}.{kind}" for kind in ("svg", "pdf", "ipynb")]
for dataset in DATASETS:
    expected += [
        RESULTS / "data" / dataset / name
        for name in ("counts.h5ad", "preprocessed.h5ad", "qc.tsv", "qc_cells.tsv")
    ]
    expected += [
        STUDY / dataset / name
        for name in ("umap.h5ad", "drawn_map.h5ad", "scores.tsv", "absent.tsv")
    ]
    expected.append(STUDY / "exports" / f"{dataset}.h5ad")
    for figure in (
        "training",
        "latent_space",
        "latent_parts",
        "louvain",
        "confusion",
        "score_heatmap",
        "drawn_cells",
    ):
        expected += [
            STUDY / "figures" / figure / f"{dataset}.{kind}" for kind in ("svg", "pdf", "ipynb")
        ]
for dataset, model in itertools.product(DATASETS, [*MODELS, FLOOR]):
    drawn = ["tsne.h5ad"] if model != FLOOR else []
    scored = (
        ["generation.tsv", "generation_absent.tsv", "drawn.h5ad"] if model in STOCHASTIC else []
    )
    expected += [
        STUDY / dataset / model / name for name in ("latents.h5ad", "clusters.tsv", *drawn, *scored)
    ]
runs_expected = [
    *itertools.product(DATASETS, [*MODELS, FLOOR]),
    *itertools.product([HELD_OUT], TREATED_MODELS),
]
for (dataset, model), seed in itertools.product(runs_expected, SEEDS):
    run = RESULTS / "runs" / dataset / model / str(seed)
    expected += [run / name for name in ("weights.safetensors", "run.json", "history.tsv")]
expected += [
    RESULTS / "data" / HELD_OUT / f"{name}.tsv"
    for name in ("markers", "baselines", "baselines_absent", "responses")
]
expected += [
    TREATMENT / HELD_OUT / model / f"{name}.tsv"
    for model in TREATED_MODELS
    for name in ("perturbation", "responses")
]
for figure in ("gene_means", "marker_ranking"):
    drawn = TREATMENT / "figures" / figure
    expected += [
        drawn / f"held_out.blobs.{model}.{kind}"
        for model in TREATED_MODELS
        for kind in ("svg", "pdf", "ipynb")
    ]

problems = [
    f"missing or empty: {path}"
    for path in expected
    if not path.is_file() or path.stat().st_size == 0
]
if not problems:
    scores = read_table(STUDY / "scores.tsv", "scores")
    runs = [read_table(study / "runs.tsv", "runs") for study in (STUDY, TREATMENT)]
    problems += [
        f"failed run: {run.dataset} {run.model} {run.seed}: {run.reason}"
        for table in runs
        for run in table.itertuples()
        if run.status == "failed"
    ]
    measured = [
        scores,
        *(
            read_table(TREATMENT / "perturbation.tsv", "perturbation"),
            read_table(STUDY / "generation.tsv", "generation"),
        ),
    ]
    problems += [
        f"not finite: {row}"
        for table in measured
        for row in table.itertuples()
        if not math.isfinite(row.value)
    ]
    asked = set(itertools.product(DATASETS, [*MODELS, FLOOR], SEEDS, ["mean"], METHODS, METRICS))
    asked |= set(itertools.product(DATASETS, MODELS, SEEDS, ["mean"], ["kmeans_tsne"], METRICS))
    asked |= set(
        itertools.product(DATASETS, STOCHASTIC, SEEDS, ["sample"], SAMPLE_METHODS, METRICS)
    )
    clustered = scores[scores["metric"].isin(list(METRICS))]
    scored = {
        (row.dataset, row.model, row.seed, row.latent, row.method, row.metric)
        for row in clustered.itertuples()
    }
    problems += [f"no score, or one not asked for: {run}" for run in sorted(asked ^ scored)]
    if "System Message" in (RESULTS / "report.html").read_text():
        problems.append("report.html shows a message of the typesetter in place of its first page")
    for study in (STUDY, TREATMENT):
        memory = read_table(study / "resources.tsv", "resources")["peak_memory"].max()
        problems += [f"a job took {memory:.0f} MB, over 2000"] if memory > 2000 else []
print(
    "\n".join(problems)
    or f"all {len(expected)} outputs are there, all {len(scores)} scores are finite"
)
sys.exit(bool(problems))
