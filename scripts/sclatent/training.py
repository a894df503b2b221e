"""The training of a model: one visible loop, and what becomes of a model that fails."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sclatent.errors import TrainingError, UserError
from sclatent.models.base import LatentModel

# Not the model's fault: the user, the machine or the queue can mend it, so it fails the job instead of the seed.
NOT_THE_MODEL = (UserError, ImportError, MemoryError, OSError, torch.OutOfMemoryError, torch.AcceleratorError)


def or_reason(step: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a step of a model returns and an empty text, or None and, where the model raises, the reason in one line.

    The traceback is logged. Errors of the user and of the machine are raised.
    """
    try:
        return step(), ""
    except NOT_THE_MODEL:
        raise
    except Exception as error:
        logging.exception("the model failed")
        kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
        return None, " ".join(f"{kind}{error}".split())


def train(model: LatentModel, x: Tensor, epochs: int, batch_size: int, learning_rate: float) -> list[dict]:
    """Train a model on cells x (N, G) with Adam, in place, and return the history of its loss.

    Closed-form models are fitted instead. The history has one entry an epoch and part of the loss: {"epoch", "part",
    "value"}, the mean over the epoch's cells. Raises TrainingError, naming part, epoch and step, once a part is not finite.
    """
    if model.closed_form:
        model.fit(x)
        return _entries(1, {name: part.item() for name, part in model.loss(x).items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    history = []
    model.train()
    for epoch in range(1, epochs + 1):
        totals: dict[str, Tensor] = {}
        for step, cells in enumerate(torch.randperm(len(x), device=x.device).split(batch_size), start=1):
            parts = model.loss(x[cells])
            for name, part in parts.items():
                if not torch.isfinite(part):
                    raise TrainingError(f"loss part '{name}' is {part.item()} in epoch {epoch}, step {step}")
                totals[name] = totals.get(name, 0) + part.detach() * len(cells)
            optimizer.zero_grad()
            parts["loss"].backward()
            optimizer.step()
        history += _entries(epoch, {name: total.item() / len(x) for name, total in totals.items()})
    model.eval()
    return history


def _entries(epoch: int, parts: dict[str, float]) -> list[dict]:
    return [{"epoch": epoch, "part": part, "value": value} for part, value in parts.items()]
