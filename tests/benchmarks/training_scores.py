"""Whether the fast mode of training costs agreement of k-means with cell types on PBMC 3k.

python tests/benchmarks/training_scores.py [epochs]

Trains the AE and the beta-VAE of the PBMC3k report (200 epochs unless told) with five seeds in
fp32 and in bf16, and prints mean and standard deviation over seeds of the scores of k-means on
the mean latents, and whether their difference is within the seeds' spread: at most the standard
deviation of the two, root mean square. Needs pbmc3k_raw.h5ad in a folder of SCLATENT_DATA or in
data/.
"""

import sys

import anndata as ad
import pandas as pd
from pbmc3k import configuration, preprocessed, settings_of, training_data
from sklearn.metrics.cluster import contingency_matrix

from sclatent.clustering.methods import kmeans
from sclatent.common.determinism import make_deterministic
from sclatent.config.load import Config
from sclatent.config.studies import Clustering
from sclatent.metrics.agreement import AGREEMENT_METRICS
from sclatent.training.encode import encode
from sclatent.training.memory import keep_freed_memory
from sclatent.training.run import train_run

MODELS = ("ae", "beta_vae")
SEEDS = range(5)
SCORES = ("nmi_geometric", "ari")
THREADS = 2


def score(
    config: Config, adata: ad.AnnData, model: str, precision: str, seed: int, epochs: int
) -> dict[str, float]:
    """Train a model as the workflow does and return the scores of k-means on its mean latents."""
    make_deterministic(seed, THREADS)
    data, labels = training_data(adata), adata.obs["cell_type"].to_numpy()
    trained, _ = train_run(
        data, None, settings_of(config, model, epochs=epochs, precision=precision)
    )
    clusters = kmeans(
        encode(trained, data.values)["mean"],
        adata.obs["cell_type"].nunique(),
        Clustering().n_init,
        seed,
    )
    counts = contingency_matrix(labels, clusters)
    return {name: AGREEMENT_METRICS[name](counts) for name in SCORES}


def main() -> None:
    """Train and score all and print the comparison."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    config = configuration()
    adata = preprocessed(config)
    if "cell_type" not in adata.obs:
        sys.exit(
            "pbmc3k_raw.h5ad is in no folder of SCLATENT_DATA, nor in data/, so nothing is scored"
        )
    keep_freed_memory()
    for model in MODELS:
        scores = {
            precision: pd.DataFrame(
                [score(config, adata, model, precision, seed, epochs) for seed in SEEDS]
            )
            for precision in ("fp32", "bf16")
        }
        for metric in SCORES:
            exact, fast = (scores[precision][metric] for precision in ("fp32", "bf16"))
            difference, spread = fast.mean() - exact.mean(), ((exact.var() + fast.var()) / 2) ** 0.5
            print(
                f"{'reached' if abs(difference) <= spread else 'missed'}: {model} {metric}, "
                f"fp32 {exact.mean():.3f} ± {exact.std():.3f}, bf16 {fast.mean():.3f} ± "
                f"{fast.std():.3f}, "
                f"difference {difference:+.3f}, target within {spread:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
