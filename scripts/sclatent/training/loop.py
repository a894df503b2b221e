"""The training loop.

A training has one or more phases. Each has its own optimiser, learning rate and objective. The loop
runs over phases, epochs and batches; it can resume from a checkpoint after any epoch.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TextIO, TypedDict

import torch
from torch import Tensor
from tqdm import tqdm

from sclatent.common.errors import TrainingError
from sclatent.config.models import Objective, Training
from sclatent.io.blocks import BLOCK
from sclatent.models.base import Batch, LatentModel
from sclatent.nn.adam import Adam
from sclatent.training.batches import CellBatches
from sclatent.training.checkpoints import Checkpoint

CHECKPOINT_EVERY = 30  # seconds; a training that takes less time writes none
DIVERGED = 10_000  # a training stops if its loss grows by this many times the first epoch's
COSINE_END = 0.01  # share of the learning rate at the end of the cosine schedule
PLACED_BY = 20_000  # largest number of cells by which components are placed


class LossEntry(TypedDict):
    """A row of the history: the mean of one part of the loss in one epoch."""

    epoch: int  # from 1, counted over all phases
    split: str  # train or validation
    part: str
    value: float


class PhasePlan(NamedTuple):
    """A phase of a training, with nothing left out."""

    epochs: int
    learning_rate: float
    weight_decay: float
    objective: Objective


@dataclass
class TrainingState:
    """How much of a training is done. Best values are those of the present phase."""

    phase: int = 0  # number of finished phases
    epoch: int = 0  # number of finished epochs in the present phase
    history: list[LossEntry] = field(default_factory=list)
    first_loss: float | None = None  # loss of the phase's first epoch
    best_loss: float | None = None  # lowest loss of validation cells so far
    epochs_since_best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer_state: dict[str, Tensor] = field(default_factory=dict)  # set only when resuming


def train(
    model: LatentModel,
    cells: CellBatches,
    training: Training,
    labelled: CellBatches | None = None,
    validation: CellBatches | None = None,
    checkpoint: Checkpoint | None = None,
    terminal: TextIO | None = None,
) -> list[LossEntry]:
    """Train a model in place. A closed-form model is fitted instead.

    Parameters
    ----------
    model
        A new model. It is in evaluation mode afterwards.
    cells
        The training cells.
    training
        How to train.
    labelled
        Cells with labels, for the phases that use labels.
    validation
        Cells that are not trained on. Their loss is recorded, and stops the training early if the
        training has a patience.
    checkpoint
        Where the state of the training is saved. If there is a saved state, training resumes.
    terminal
        Where to show the progress of a training that takes more than a few seconds.

    Returns
    -------
    The history of the loss.

    Raises
    ------
    TrainingError
        If a part of the loss is not finite, or if the loss grows out of all proportion.
    """
    if model.hp.closed_form:
        return _fit(model, cells, validation)
    phases = phase_plans(training)
    state = _resume(model, checkpoint)
    last_saved = time.monotonic()
    n_epochs = sum(phase.epochs for phase in phases)
    bar = tqdm(total=n_epochs, unit="epoch", disable=None, file=terminal, delay=5, leave=False)
    while state.phase < len(phases):
        phase = phases[state.phase]
        decoupled = training.optimizer == "adamw"
        optimizer = Adam(model.parameters(), phase.weight_decay, decoupled=decoupled)
        if state.optimizer_state:
            optimizer.restore(state.optimizer_state)
        while state.epoch < phase.epochs and not _is_out_of_patience(state, training):
            epoch = _finished_epochs(phases, state) + 1
            means = _train_epoch(model, optimizer, cells, labelled, training, phases, state)
            state.epoch += 1
            state.history += _entries(epoch, "train", means)
            _check_converging(state, means, epoch)
            if validation is not None:
                with _precision(cells, training):
                    means = mean_loss(model, phase.objective, validation)
                state.history += _entries(epoch, "validation", means)
                _check_validation(means["loss"], epoch)
                if training.patience is not None and _progress(phases, state) >= model.settled:
                    _remember_best(state, model, means["loss"])
            if checkpoint is not None and time.monotonic() - last_saved >= CHECKPOINT_EVERY:
                _save(checkpoint, state, model, optimizer)
                last_saved = time.monotonic()
            bar.update(epoch - bar.n)
        if state.best_weights:
            model.load_state_dict(state.best_weights)
        if phase.objective == "pretraining":
            _place_components(model, cells, training)
        state = TrainingState(phase=state.phase + 1, history=state.history)
    bar.close()
    model.eval()
    return state.history


def phase_plans(training: Training) -> list[PhasePlan]:
    """Return the phases of a training, each with its own or else the training's settings."""
    return [PhasePlan(**phase.model_dump()) for phase in training.phases]


def _fit(model: LatentModel, cells: CellBatches, validation: CellBatches | None) -> list[LossEntry]:
    """Fit a closed-form model, and return a history of one epoch."""
    model.fit(lambda rows: cells.batch(torch.arange(len(cells))[rows]).x, len(cells))
    model.eval()
    history = _entries(1, "train", mean_loss(model, "unsupervised", cells))
    if validation is not None:
        history += _entries(1, "validation", mean_loss(model, "unsupervised", validation))
    return history


def _train_epoch(
    model: LatentModel,
    optimizer: Adam,
    cells: CellBatches,
    labelled: CellBatches | None,
    training: Training,
    phases: Sequence[PhasePlan],
    state: TrainingState,
) -> dict[str, float]:
    """Train on every cell once, in the present phase, and return the mean of each loss part."""
    phase = phases[state.phase]
    guides = labelled if phase.objective == "semi_supervised" else None
    if phase.objective == "supervised":
        assert labelled is not None, "a supervised phase needs labelled cells"
        cells = labelled
    batches = list(_batches(cells, guides, training.batch_size))
    totals: dict[str, Tensor] = {}
    model.train()
    for step, (rows, guide_rows) in enumerate(batches):
        epochs_done = state.epoch + step / len(batches)
        progress = _progress(phases, state, epochs_done)
        with _precision(cells, training):
            guide = None
            if guides is not None and guide_rows is not None:
                guide = guides.batch(guide_rows)
            parts = _loss(model, phase.objective, cells.batch(rows), guide, progress)
        _check_finite(parts, _finished_epochs(phases, state) + 1, step + 1)
        parts["loss"].backward()
        if training.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        phase_done = (epochs_done + 1 / len(batches)) / phase.epochs
        optimizer.step(phase.learning_rate * _share_of_rate(phase_done, training))
        for name, part in parts.items():
            totals[name] = totals.get(name, 0) + part.detach() * len(rows)
    return {name: total.item() / len(cells) for name, total in totals.items()}


def _batches(
    cells: CellBatches, guides: CellBatches | None, batch_size: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the rows of each batch of an epoch, and the rows of labelled cells of the same step.

    Every cell is in one batch. Labelled cells are drawn again and again, as often as needed.
    """
    chunks = list(torch.randperm(len(cells)).split(batch_size))
    if len(chunks) > 1 and len(chunks[-1]) == 1:  # batch normalisation fails on a single cell
        chunks[-2:] = [torch.cat(chunks[-2:])]
    if guides is None:
        for rows in chunks:
            yield rows, None
        return
    size = min(batch_size, len(guides))
    rounds = math.ceil(len(chunks) * size / len(guides))
    order = torch.cat([torch.randperm(len(guides)) for _ in range(rounds)])
    yield from zip(chunks, order.split(size), strict=False)


def _loss(
    model: LatentModel, objective: Objective, batch: Batch, guide: Batch | None, progress: float
) -> dict[str, Tensor]:
    """Return the loss of a batch, plus that of the labelled cells of the step if there are any."""
    if objective == "pretraining":
        parts = model.pretraining_loss(batch, progress)
    elif objective == "supervised":
        parts = model.supervised_loss(batch, progress)
    else:
        parts = model.loss(batch, progress)
    if guide is None:
        return parts
    guide_parts = model.supervised_loss(guide, progress)
    named = {f"labelled_{name}": part for name, part in guide_parts.items()}
    return {**parts, **named, "loss": parts["loss"] + guide_parts["loss"]}


def _precision(cells: CellBatches, training: Training) -> torch.autocast:
    """Return the context in which matrix products have the precision of the training."""
    return torch.autocast(cells.device.type, torch.bfloat16, enabled=training.precision == "bf16")


def _finished_epochs(phases: Sequence[PhasePlan], state: TrainingState) -> int:
    """Return the number of finished epochs of the whole training.

    A phase that has stopped early counts with all of its epochs.
    """
    return sum(earlier.epochs for earlier in phases[: state.phase]) + state.epoch


def _progress(
    phases: Sequence[PhasePlan], state: TrainingState, epochs_done: float | None = None
) -> float:
    """Return the share of the training that is over; pre-training counts as a training of its own.

    epochs_done is the number of finished epochs in the present phase, by default the state's.
    """
    pretraining = phases[state.phase].objective == "pretraining"
    counted = [
        phase.epochs if (phase.objective == "pretraining") == pretraining else 0 for phase in phases
    ]
    in_phase = state.epoch if epochs_done is None else epochs_done
    return (sum(counted[: state.phase]) + in_phase) / sum(counted)


def _share_of_rate(done: float, training: Training) -> float:
    """Return the share of the learning rate that is used after a share of a phase.

    It rises linearly during the warm-up. Then it is constant, or falls as a cosine.
    """
    if done < training.warmup:
        return done / training.warmup
    if training.schedule == "constant":
        return 1.0
    angle = math.pi * (done - training.warmup) / (1 - training.warmup)
    return COSINE_END + (1 - COSINE_END) * 0.5 * (1 + math.cos(angle))


def _is_out_of_patience(state: TrainingState, training: Training) -> bool:
    return training.patience is not None and state.epochs_since_best >= training.patience


def _remember_best(state: TrainingState, model: LatentModel, loss: float) -> None:
    """Keep the weights if the loss of validation cells is the lowest so far."""
    state.epochs_since_best += 1
    if state.best_loss is None or loss < state.best_loss:
        state.best_loss, state.epochs_since_best = loss, 0
        state.best_weights = {name: value.clone() for name, value in model.state_dict().items()}


def _check_finite(parts: Mapping[str, Tensor], epoch: int, step: int) -> None:
    """Raise TrainingError with the first part that is not finite, if the loss is not."""
    if torch.isfinite(parts["loss"]):
        return
    name = next(
        (name for name, part in parts.items() if name != "loss" and not torch.isfinite(part)),
        "loss",
    )
    raise TrainingError(f"loss part '{name}' is {parts[name].item()} in epoch {epoch}, step {step}")


def _check_converging(state: TrainingState, means: Mapping[str, float], epoch: int) -> None:
    """Raise TrainingError if the loss is far above that of the phase's first epoch."""
    loss = means["loss"]
    if state.first_loss is None:
        state.first_loss = loss
    elif loss - state.first_loss > DIVERGED * max(abs(state.first_loss), 1):
        parts = {name: abs(mean) for name, mean in means.items() if name != "loss"}
        largest = max(parts, key=lambda name: parts[name], default="loss")
        raise TrainingError(
            f"the loss diverged: {loss:.4g} in epoch {epoch}, {state.first_loss:.4g} in the first; "
            f"its largest part is '{largest}'"
        )


def _check_validation(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss of validation cells is {loss} in epoch {epoch}")


@torch.no_grad()
def mean_loss(model: LatentModel, objective: Objective, cells: CellBatches) -> dict[str, float]:
    """Return the mean of each loss part of cells, without training on them.

    Genes are not masked, and labels are not used. Weights are those at the end of a training.

    Parameters
    ----------
    model
        The model. It is in evaluation mode afterwards.
    objective
        For pretraining, the loss is that of the pre-training; for all others it is the loss of
        unlabelled cells.
    cells
        The cells.
    """
    model.eval()
    if objective != "pretraining":
        objective = "unsupervised"
    totals: dict[str, float] = {}
    for rows in torch.arange(len(cells)).split(BLOCK):
        parts = _loss(model, objective, cells.batch(rows, masked=False), None, 1.0)
        for name, part in parts.items():
            totals[name] = totals.get(name, 0) + part.item() * len(rows)
    return {name: total / len(cells) for name, total in totals.items()}


def _place_components(model: LatentModel, cells: CellBatches, training: Training) -> None:
    """Place the components of a mixture by at most `PLACED_BY` random cells."""
    with _precision(cells, training):
        model.eval()
        rows = torch.randperm(len(cells))[:PLACED_BY]
        batches = [cells.batch(some, masked=False) for some in rows.split(BLOCK)]
        with torch.no_grad():
            means = [model.encode(batch.seen, batch.condition).mean for batch in batches]
    conditions = [batch.condition for batch in batches if batch.condition is not None]
    model.place_components(
        torch.cat([batch.seen for batch in batches]).float(),
        torch.cat(means),
        torch.cat(conditions) if conditions else None,
    )


def _save(
    checkpoint: Checkpoint, state: TrainingState, model: LatentModel, optimizer: Adam
) -> None:
    """Save the state, the weights and the optimiser."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best_weights.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer.state().items()}
    in_tensors = ("best_weights", "optimizer_state")
    checkpoint.save(
        tensors, {name: value for name, value in vars(state).items() if name not in in_tensors}
    )


def _resume(model: LatentModel, checkpoint: Checkpoint | None) -> TrainingState:
    """Return the state in a checkpoint and set the weights; a new state if there is none."""
    restored = None if checkpoint is None else checkpoint.load()
    if restored is None:
        return TrainingState()
    tensors, notes = restored
    model.load_state_dict(_with_prefix("model", tensors))
    best = _with_prefix("best", tensors)
    return TrainingState(
        **notes,
        best_weights={name: value.to(model.device) for name, value in best.items()},
        optimizer_state=_with_prefix("optimizer", tensors),
    )


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose name starts with a prefix, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def _entries(epoch: int, split: str, parts: Mapping[str, float]) -> list[LossEntry]:
    return [
        LossEntry(epoch=epoch, split=split, part=part, value=value) for part, value in parts.items()
    ]
