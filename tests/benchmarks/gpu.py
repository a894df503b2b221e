"""Cells per second of training on a GPU, beside the processor's in the same run.

python tests/benchmarks/gpu.py [cells]

Draws 2,000 genes at a density of 7 % for 100,000 cells unless told, and trains the beta-VAE of
two widths for two epochs in batches of 256 and of 4,096, exact and in bfloat16, five times on
each device in turn. Prints the medians and their ratio, and needs a CUDA device.
"""

import statistics
import sys
import time

import numpy as np
import pandas as pd
import torch
from pbmc3k import configuration, settings_of
from simulated import draw_counts, draw_rates

from sclatent.common.determinism import make_deterministic
from sclatent.io.expression import Values
from sclatent.training.labelled import TrainingData
from sclatent.training.memory import keep_freed_memory
from sclatent.training.run import RunSettings, train_run

N_GENES = 2000
DENSITY = 0.07
EPOCHS = 2
ROUNDS = 5
WIDTHS = {"128-32-16": [128, 32, 16], "800-400": [800, 400]}


def seconds(data: TrainingData, settings: RunSettings, device: str) -> float:
    """Return how long a training takes, to the last operation of the device."""
    make_deterministic(0, torch.get_num_threads())
    start = time.monotonic()
    train_run(data, None, settings, device)
    torch.cuda.synchronize()
    return time.monotonic() - start


def main() -> None:
    """Print cells per second for each network, batch and precision."""
    if not torch.cuda.is_available():
        sys.exit("torch sees no GPU")
    n_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng = np.random.default_rng(0)
    counts = draw_counts(rng, n_cells, draw_rates(rng, N_GENES, DENSITY))
    data = TrainingData(
        Values(counts.log1p(), np.arange(n_cells).astype(str), np.ones(n_cells, dtype=bool))
    )
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {torch.get_num_threads()} "
        f"threads"
    )
    keep_freed_memory()
    rows = []
    for name, widths in WIDTHS.items():
        for batch_size in (256, 4096):
            for precision in ("fp32", "bf16"):
                training = {"epochs": EPOCHS, "batch_size": batch_size, "precision": precision}
                settings = settings_of(configuration(), "beta_vae", **training)
                settings.hyperparameters.update(encoder_hidden=widths, decoder_hidden=widths[::-1])
                seconds(data, settings, "cuda")  # what CUDA loads and chooses at first
                rounds = [
                    {device: seconds(data, settings, device) for device in ("cuda", "cpu")}
                    for _ in range(ROUNDS)
                ]
                row = {"network": name, "batch": batch_size, "precision": precision}
                for device in ("cuda", "cpu"):
                    row[device] = round(
                        EPOCHS * n_cells / statistics.median(times[device] for times in rounds)
                    )
                rows.append(
                    {
                        **row,
                        "ratio": round(
                            statistics.median(times["cpu"] / times["cuda"] for times in rounds), 1
                        ),
                    }
                )
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
