"""Time and memory of training on large data, over four sizes: is time linear in cells, and memory
below 8 GB?

python tests/benchmarks/large_training.py [cells]

Draws 2,000 genes at a density of 7 % for 1/8, 1/4, 1/2 and all of the cells (1,000,000 unless
told) and, in a process of its own, reads each file and trains the 128-32-16 beta-VAE for two
epochs in batches of 256 on two threads, as the workflow's rule train does. Needs 1.2 KB of disk
a cell.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem
from simulated import draw_counts, draw_rates

N_GENES = 2000
DENSITY = 0.07
CHUNK = 20_000
EPOCHS = 2
THREADS = 2
MOST_MEMORY = 8000  # MB


def write_values(path: Path, n_cells: int) -> None:
    """Write what training reads of a file of the kind "preprocessed" with n_cells cells, piece by
    piece.
    """
    rng = np.random.default_rng(0)
    rates = draw_rates(rng, N_GENES, DENSITY)
    names = [f"cell_{i}" for i in range(n_cells)]
    obs = pd.DataFrame(
        {"split": pd.Categorical(["train"] * n_cells, categories=["train", "held_out"])},
        index=names,
    )
    with h5py.File(path, "w") as file:
        write_elem(
            file, "/", ad.AnnData(draw_counts(rng, min(CHUNK, n_cells), rates), obs=obs[:CHUNK])
        )
        for start in range(CHUNK, n_cells, CHUNK):
            sparse_dataset(file["X"]).append(draw_counts(rng, min(CHUNK, n_cells - start), rates))
        write_elem(file, "obs", obs)


def measure(path: Path) -> dict[str, float]:
    """Return the seconds of reading and of training, and the largest resident memory of this
    process (MB).
    """
    # Not imported by the process that writes and prints: the largest memory that Linux reports
    # begins with that of the parent.
    from pbmc3k import configuration, settings_of

    from sclatent.common.determinism import make_deterministic
    from sclatent.training.labelled import read_training_data
    from sclatent.training.memory import keep_freed_memory
    from sclatent.training.run import train_run

    settings = settings_of(configuration(), "beta_vae", epochs=EPOCHS, batch_size=256)
    make_deterministic(0, THREADS)
    keep_freed_memory()
    times = [time.monotonic()]
    data = read_training_data(path, path)
    times.append(time.monotonic())
    train_run(data, None, settings)
    times.append(time.monotonic())
    reading, training = np.diff(times)
    return {
        "read_s": reading,
        "train_s": training,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def measure_alone(n_cells: int) -> dict[str, float]:
    """Return what `measure` finds in a process of its own for a file of n_cells cells."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        write_values(path, n_cells)
        command = [sys.executable, __file__, str(path)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"cells": n_cells, **json.loads(printed)}


def main() -> None:
    """Measure the four sizes and print the table, and the slope with what it leaves unexplained."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    results = []
    for part in (8, 4, 2, 1):
        results.append(measure_alone(largest // part))
        print(pd.DataFrame(results).round(1).tail(1).to_string(index=False), flush=True)
    table = pd.DataFrame(results)
    seconds = table["read_s"] + table["train_s"]
    slope, intercept = np.polyfit(table["cells"], seconds, 1)
    residual = (seconds - slope * table["cells"] - intercept).abs().max()
    print(
        f"{slope * 1e5:.2f} s per 100,000 cells, plus {intercept:.1f} s; largest deviation "
        f"from the line {residual:.1f} s"
    )
    memory = table["mb"].max()
    print(
        f"{'reached' if memory < MOST_MEMORY else 'missed'}: largest resident memory "
        f"{memory:.0f} MB, target {MOST_MEMORY}"
    )


if __name__ == "__main__":
    if sys.argv[-1].endswith(".h5ad"):
        print(json.dumps(measure(Path(sys.argv[-1]))))
    else:
        main()
