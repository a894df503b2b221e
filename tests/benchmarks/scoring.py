"""Seconds that it takes to score one latent of 20,000 cells: clusters, their scores, the latent's
own, and a prediction.

python tests/benchmarks/scoring.py [cells]

Draws a latent of 10 dimensions with nine cell types in two conditions (20,000 cells unless
told), and 2,000 genes for the two conditions of one type, a fifth of the cells.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import make_blobs

from sclatent.clustering.methods import cluster_seeds
from sclatent.clustering.scores import score_latents, score_table
from sclatent.config.studies import Clustering
from sclatent.perturbation.scores import rank_markers, real_responses, score_targets
from sclatent.perturbation.targets import PerturbationData, Prediction

N_TYPES, N_DIMENSIONS, N_GENES = 9, 10, 2000
MOST_SECONDS = 60


def predict_and_score(n_cells: int, rng: np.random.Generator) -> None:
    """Score the no-change prediction of treated cells of one type, a fifth of the cells."""
    counts = rng.poisson(0.3, (n_cells // 5, N_GENES)).astype(np.float32)
    obs = pd.DataFrame(
        {"cell_type": "B", "condition": ["control", "treated"] * (len(counts) // 2)}
    ).astype("category")
    obs["split"] = np.where(obs["condition"] == "treated", "held_out", "train")
    genes = np.array([f"gene_{i}" for i in range(N_GENES)])
    cells = PerturbationData(
        sparse.csr_matrix(np.log1p(counts)), obs, genes, "control", held_out=True
    )

    def unchanged(target):
        control = cells.dense(target.control)
        yield Prediction("no_change", control, control), target

    score_targets(cells, rank_markers(real_responses(cells)), unchanged, seed=0)


def main() -> None:
    """Measure each part and print it, and whether the whole is fast enough."""
    n_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rng = np.random.default_rng(0)
    points, types = make_blobs(
        n_cells, N_DIMENSIONS, centers=N_TYPES, cluster_std=2.5, random_state=0
    )
    cells = pd.Index([f"cell_{i}" for i in range(n_cells)])
    obs = pd.DataFrame(
        {
            "cell_type": types.astype(str),
            "condition": rng.choice(["a", "b"], n_cells),
            "split": "train",
        },
        index=cells,
    )
    latents = ad.AnnData(obs=obs, obsm={"mean_seed_0": points.astype(np.float32)})
    found = {}
    parts = {
        "clusters": lambda: found.update(
            table=cluster_seeds(
                obs["cell_type"],
                {("mean", 0): latents.obsm["mean_seed_0"]},
                Clustering(),
                n_components=[],
                threads=1,
            )
        ),
        "scores of clusters": lambda: score_table(found["table"], obs["cell_type"], obs["split"]),
        "scores of the latent": lambda: score_latents(latents, obs),
        "a prediction": lambda: predict_and_score(n_cells, rng),
    }
    total = 0.0
    for name, part in parts.items():
        start = time.perf_counter()
        part()
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{name}: {seconds:.1f} s", flush=True)
    print(
        f"{'reached' if total < MOST_SECONDS else 'missed'}: {n_cells} cells in {total:.1f} s, "
        f"target {MOST_SECONDS}"
    )


if __name__ == "__main__":
    main()
