"""The device and the precision of a training."""

import logging
from typing import Literal

import torch

from sclatent.common.errors import UserError

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]

# Instructions that multiply in bfloat16, by torch's names: two of x86 processors, one of ARM's.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


def choose_device(wanted: str, gpus: int) -> str:
    """Return "cuda" or "cpu".

    Parameters
    ----------
    wanted
        The configuration's device: cpu, cuda, or auto, which is cuda if the job was given a GPU and
        torch finds one.
    gpus
        Number of GPUs that the job was given.

    Raises
    ------
    UserError
        If cuda is wanted and not available.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not gpus:
        raise UserError(
            "device is cuda, but the job was given no GPU; run with --resources gpu=1, or set "
            "device to auto or cpu"
        )
    if wanted == "cuda" and not available:
        raise UserError(
            "device is cuda, but torch sees no GPU; set device to auto or cpu, or install torch's "
            "CUDA build"
        )
    return "cuda" if wanted != "cpu" and gpus and available else "cpu"


def device_name(device: str) -> str:
    """Return the name of a device for records: "cpu", or "cuda" with the name of the GPU."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device


def usable_precision(wanted: Precision, device: str) -> Precision:
    """Return the precision in which a training runs.

    Parameters
    ----------
    wanted
        The configuration's precision, fp32 or bf16.
    device
        "cpu" or "cuda".

    Returns
    -------
    bf16 if it is wanted and the device has instructions for it, otherwise fp32. A processor without
    them computes bfloat16 products one number at a time, which takes up to sixty times as long as
    in float32.
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
