"""Where a model runs."""

import torch


def choose_device(gpus: int) -> str:
    """Return "cuda" where the job was given a GPU and torch sees one, else "cpu"."""
    return "cuda" if gpus and torch.cuda.is_available() else "cpu"
