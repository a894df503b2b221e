"""Where a model runs."""

import logging

import torch

from sclatent.common.errors import UserError

logger = logging.getLogger(__name__)

# As torch names the instructions that multiply in bfloat16: of x86 processors two, of ARM's one.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


def choose_device(wanted: str, gpus: int) -> str:
    """Return "cuda" or "cpu" for the configuration's device and the number of GPUs that the job was given.

    auto: cuda where the job was given a GPU and torch sees one. Raises UserError where cuda is wanted and cannot be had.
    """
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not gpus:
        raise UserError(
            "device is cuda, but the job was given no GPU; run with --resources gpu=1, or set device to auto or cpu"
        )
    if wanted == "cuda" and not seen:
        raise UserError(
            "device is cuda, but torch sees no GPU; set device to auto or cpu, or install torch's CUDA build"
        )
    return "cuda" if wanted != "cpu" and gpus and seen else "cpu"


def device_name(device: str) -> str:
    """Return what to call a device in records: "cpu", or "cuda" with the name of the GPU."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device


def usable_precision(wanted: str, device: str) -> str:
    """Return "bf16" where it is wanted and the device has instructions for it, otherwise "fp32".

    A processor without them computes bfloat16 products one number at a time, which takes up to sixty times as long as in float32.
    """
    if (
        wanted == "fp32"
        or device == "cuda"
        or any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16)
    ):
        return wanted
    logger.warning(
        "precision is bf16, but this processor has no instructions for it: training in fp32"
    )
    return "fp32"
