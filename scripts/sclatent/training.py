"""The training of a model: one visible loop, and what becomes of a model that fails in it."""

import logging

import torch
from torch import Tensor

from sclatent.errors import TrainingError, UserError
from sclatent.models import hyperparameters_class, load_family
from sclatent.models.base import LatentModel

# Not the model's fault: the user, the machine or the queue can mend it, so it fails the job instead of the seed.
NOT_THE_MODEL = (UserError, MemoryError, OSError, torch.OutOfMemoryError)


def train_or_explain(x: Tensor, family: str, hyperparameters: dict, training: dict) -> tuple[LatentModel | None, list[dict], str]:
    """Build a model for cells x (N, G), train it, and return it with its history and an empty reason.

    A model that raises in its making or training is a failed run: returned as None, without a history, with the reason in one
    line; its traceback is logged. Errors of the user and of the machine are raised.
    """
    try:
        model = load_family(family)(x.shape[1], hyperparameters_class(family).model_validate(hyperparameters)).to(x.device)
        return model, train(model, x, **training), ""
    except NOT_THE_MODEL:
        raise
    except Exception as error:
        logging.exception("the model failed")
        kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
        return None, [], " ".join(f"{kind}{error}".split())


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
