"""Where a model runs."""

import torch

from sclatent.errors import UserError


def choose_device(wanted: str, gpus: int) -> str:
    """Return "cuda" or "cpu" for the configuration's device and the number of GPUs that the job was given.

    auto: cuda where the job was given a GPU and torch sees one. Raises UserError where cuda is wanted and cannot be had.
    """
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not gpus:
        raise UserError("device is cuda, but the job was given no GPU; run with --resources gpu=1, or set device to auto or cpu")
    if wanted == "cuda" and not seen:
        raise UserError("device is cuda, but torch sees no GPU; set device to auto or cpu, or install torch's CUDA build")
    return "cuda" if wanted != "cpu" and gpus and seen else "cpu"


def device_name(device: str) -> str:
    """Return what to call a device in records: "cpu", or "cuda" with the name of the GPU."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
