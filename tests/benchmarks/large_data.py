"""Time and memory from a large .h5ad to preprocessed data, over four sizes: is time linear in
cells, and memory bounded?

python tests/benchmarks/large_data.py [cells]

Draws counts of 20,000 genes at a density of 5 % for 1/8, 1/4, 1/2 and all of the cells (300,000
unless told), runs the workflow's rules ingest and preprocess on each in a temporary folder, with
2,000 variable genes, scaling and a tenth held out, and prints what Snakemake measured. Needs 20
bytes of disk a count.
"""

import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import Workflow
from simulated import draw_counts, draw_rates

N_GENES = 20_000
DENSITY = 0.05
CHUNK = 5_000


def write_counts(path: Path, n_cells: int) -> None:
    """Write an .h5ad of n_cells cells, piece by piece."""
    rng = np.random.default_rng(0)
    rates = draw_rates(rng, N_GENES, DENSITY)
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(list("abcdef"), n_cells))},
        index=[f"cell_{i}" for i in range(n_cells)],
    )
    var = pd.DataFrame(index=[f"MT-{i}" if i < 13 else f"gene_{i}" for i in range(N_GENES)])
    with h5py.File(path, "w") as file:
        write_elem(
            file,
            "/",
            ad.AnnData(draw_counts(rng, min(CHUNK, n_cells), rates), obs=obs[:CHUNK], var=var),
        )
        for start in range(CHUNK, n_cells, CHUNK):
            sparse_dataset(file["X"]).append(draw_counts(rng, min(CHUNK, n_cells - start), rates))
        write_elem(file, "obs", obs)


def measure(folder: Path, n_cells: int) -> dict:
    """Return seconds and largest resident memory (MB) of the two rules on n_cells cells."""
    workflow = Workflow(folder)
    write_counts(folder / "cells.h5ad", n_cells)
    dataset = {
        "title": "Large",
        "files": {"counts": {"path": "cells.h5ad"}},
        "columns": {"cell_type": "type"},
        "qc": {"min_genes": 200, "min_cells": 3, "max_percent_mito": 20},
        "n_top_genes": 2000,
        "scale": {"max_value": 10},
        "holdout": {"share": 0.1},
    }
    study = {"title": "Large", "datasets": ["large"], "models": ["pca"], "seeds": [0]}
    workflow.configure(run=["large"], datasets={"large": dataset}, studies={"large": study})
    start = time.monotonic()
    run = workflow.snakemake("--cores", "1", "results/data/large/preprocessed.h5ad")
    if run.returncode:
        sys.exit(run.stdout)
    rules = [
        pd.read_csv(workflow.path(f"benchmarks/{rule}/large.tsv"), sep="\t")
        for rule in ("ingest", "preprocess")
    ]
    seconds = [float(rule["s"].iloc[0]) for rule in rules]
    memory = [float(rule["max_rss"].iloc[0]) for rule in rules]
    names = ("ingest_s", "preprocess_s", "ingest_mb", "preprocess_mb")
    return {
        "cells": n_cells,
        "all_s": time.monotonic() - start,
        **dict(zip(names, [*seconds, *memory], strict=True)),
    }


def main() -> None:
    """Measure the four sizes and print the table, and the slope with what it leaves unexplained."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    results = []
    for part in (8, 4, 2, 1):
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(Path(folder), largest // part))
            print(pd.DataFrame(results).round(1).tail(1).to_string(index=False), flush=True)
    table = pd.DataFrame(results)
    slope, intercept = np.polyfit(table["cells"], table["all_s"], 1)
    residual = (table["all_s"] - slope * table["cells"] - intercept).abs().max()
    print(
        f"{slope * 1e5:.1f} s per 100,000 cells, plus {intercept:.1f} s; largest deviation "
        f"from the line {residual:.1f} s"
    )
    print(
        f"largest resident memory {table[['ingest_mb', 'preprocess_mb']].to_numpy().max():.0f} MB"
    )


if __name__ == "__main__":
    main()
