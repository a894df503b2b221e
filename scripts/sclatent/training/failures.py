"""A model that fails is a failed seed with a reason, not a failed job."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from sclatent.common.errors import TrainingError, UserError

T = TypeVar("T")

# The user, the machine or the scheduler causes these, not the model. They fail the job.
NOT_THE_MODEL = (
    UserError,
    ImportError,
    MemoryError,
    OSError,
    torch.OutOfMemoryError,
    torch.AcceleratorError,
)


def or_reason(step: Callable[[], T]) -> tuple[T | None, str]:
    """Run a step of a model, and catch its failure.

    Parameters
    ----------
    step
        What to run.

    Returns
    -------
    The result of the step and an empty text; or None and, in one line, why the model failed. The
    traceback of a failure is logged. Errors of `NOT_THE_MODEL` are not caught.
    """
    try:
        return step(), ""
    except NOT_THE_MODEL:
        raise
    except Exception as error:
        logging.exception("the model failed")
        kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
        return None, " ".join(f"{kind}{error}".split())
