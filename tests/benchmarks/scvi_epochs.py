"""Seconds per epoch of scVI, for training.py: run by the interpreter that has scvi-tools, which
needs nothing of this project.

python scvi_epochs.py THREADS EPOCHS CELLS.h5ad

Trains on the CPU in batches of 256 with three hidden layers of 128 and six latent dimensions;
the rest is scVI's own. Its hidden layers have one width, so that 128-32-16 is not to be had:
beside the layers next to the genes, the others cost little. The last line printed is JSON,
{"seconds": the mean of an epoch}; the first epoch is not counted.
"""

import json
import sys
import time

import anndata as ad
import scvi
import torch
from lightning.pytorch.callbacks import Callback


class Clock(Callback):
    """The time at which each epoch ended."""

    def __init__(self):
        self.ends: list[float] = []

    def on_train_epoch_end(self, trainer, module) -> None:
        """Remember the time."""
        self.ends.append(time.perf_counter())


def seconds_per_epoch(path: str, epochs: int) -> float:
    """Return the mean seconds of an epoch on the layer "counts" of a file, after the first of some
    epochs.
    """
    cells = ad.read_h5ad(path)
    scvi.model.SCVI.setup_anndata(cells, layer="counts")
    model = scvi.model.SCVI(cells, n_hidden=128, n_layers=3, n_latent=6)
    clock = Clock()
    model.train(
        max_epochs=epochs,
        accelerator="cpu",
        train_size=1.0,
        batch_size=256,
        callbacks=[clock],
        enable_progress_bar=False,
        enable_checkpointing=False,
        logger=False,
    )
    return (clock.ends[-1] - clock.ends[0]) / (epochs - 1)


def main() -> None:
    """Measure."""
    threads, epochs, path = sys.argv[1:]
    torch.set_num_threads(int(threads))
    scvi.settings.seed = 0
    print(json.dumps({"seconds": seconds_per_epoch(path, int(epochs))}))


if __name__ == "__main__":
    main()
