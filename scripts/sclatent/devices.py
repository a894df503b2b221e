"""Where a model runs."""

import torch

from sclatent.errors import UserError


def choose_device(wanted: str, gpus: int) -> str:
    """Return "cuda" or "cpu" for the configuration's device and the number of GPUs that the job was given.

    auto: cuda where the job was given a GPU and torch sees one. Raises UserError where cuda is wanted and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but torch sees no GPU; set device to auto or cpu, or install torch's CUDA build")
    return "cuda" if wanted == "cuda" or (wanted == "auto" and gpus and torch.cuda.is_available()) else "cpu"
