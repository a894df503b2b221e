"""The training of a model: one visible loop, and what becomes of a model that fails."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

import torch
from torch import Tensor
from tqdm import tqdm

from sclatent.common.errors import TrainingError
from sclatent.models.base import Batch, LatentModel
from sclatent.nn.adam import Adam
from sclatent.training.batches import Cells
from sclatent.training.checkpoints import Checkpoint

CHECKPOINT_EVERY = 30  # seconds; a training that is over before then writes none
DIVERGED = 10_000  # times the loss of the phase's first epoch, at which a training is given up
COSINE_END = 0.01  # of the learning rate, at which the cosine schedule ends
AT_ONCE = 4096  # cells of a batch that is not trained on
PLACED_BY = 20_000  # cells, at most, by which components are placed


@dataclass
class Course:
    """How far a training has come.

    phase, epoch: number of phases done, and of epochs done in the present one. history: {"epoch", "split", "part", "value"}.
    first: loss of the phase's first epoch. best: lowest loss on validation cells in the phase, idle: epochs since. weights: of
    the model then. optimizer: state of the optimiser, where it is to be taken up.
    """

    phase: int = 0
    epoch: int = 0
    history: list[dict] = field(default_factory=list)
    first: float | None = None
    best: float | None = None
    idle: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)


def train(
    model: LatentModel,
    cells: Cells,
    settings: dict,
    labelled: Cells | None = None,
    validation: Cells | None = None,
    checkpoint: Checkpoint | None = None,
    terminal: TextIO | None = None,
) -> list[dict]:
    """Train a model in place and return the history of its loss, {"epoch", "split", "part", "value"}; fit closed-form ones.

    settings: those of `sclatent.config.load.Training`. labelled: cells whose labels are known, for phases that use them.
    validation: cells kept out of training, by which it stops early. checkpoint: where its state is kept, and taken up if it
    is there. terminal: shows how far a long training is, if it is one. Raises TrainingError, naming part, epoch and
    step, once a part is not finite, or the epoch in which the loss grew out of all proportion.
    """
    if model.hp.closed_form:
        model.fit(lambda rows: cells.batch(torch.arange(len(cells))[rows]).x, len(cells))
        model.eval()
        splits = (
            {"train": cells} if validation is None else {"train": cells, "validation": validation}
        )
        return [
            entry
            for split, some in splits.items()
            for entry in _entries(1, split, mean_loss(model, "unsupervised", some))
        ]
    course = _resumed(model, checkpoint)
    phases, saved = settings["phases"], time.monotonic()
    bar = tqdm(
        total=sum(phase["epochs"] for phase in phases),
        unit="epoch",
        disable=None,
        file=terminal,
        delay=5,
        leave=False,
    )
    for number in range(course.phase, len(phases)):
        phase, before = phases[number], sum(phase["epochs"] for phase in phases[:number])
        objective, epochs = phase["objective"], phase["epochs"]
        source = labelled if objective == "supervised" else cells
        optimizer = Adam(
            model.parameters(), phase["weight_decay"], decoupled=settings["optimizer"] == "adamw"
        )
        if course.optimizer:
            optimizer.restore(course.optimizer)
        while course.epoch < epochs and (
            settings["patience"] is None or course.idle < settings["patience"]
        ):
            means = _trained_epoch(
                model, optimizer, source, labelled, settings, number, course.epoch
            )
            course.epoch += 1
            course.history += _entries(before + course.epoch, "train", means)
            _check_converging(course, means, before + course.epoch)
            if validation is not None:
                with _products(cells, settings):
                    means = mean_loss(model, objective, validation)
                course.history += _entries(before + course.epoch, "validation", means)
                if not math.isfinite(means["loss"]):
                    raise TrainingError(
                        f"the loss of validation cells is {means['loss']} in epoch {before + course.epoch}"
                    )
                if (
                    settings["patience"] is not None
                    and _progress(phases, number, course.epoch) >= model.settled
                ):
                    _remember_best(course, model, means["loss"])
            if checkpoint is not None and time.monotonic() - saved >= CHECKPOINT_EVERY:
                _save(checkpoint, course, model, optimizer)
                saved = time.monotonic()
            bar.update(before + course.epoch - bar.n)
        if course.weights:
            model.load_state_dict(course.weights)
        if objective == "pretraining":
            with _products(cells, settings):
                placed_by = _for_placing(model, cells)
            model.place_components(*placed_by)
        course = Course(phase=number + 1, history=course.history)
    bar.close()
    model.eval()
    return course.history


def _trained_epoch(
    model: LatentModel,
    optimizer: Adam,
    cells: Cells,
    labelled: Cells | None,
    settings: dict,
    number: int,
    epoch: int,
) -> dict[str, float]:
    """Train on every cell once, after `epoch` epochs of phase `number`, and return the mean loss parts. Errors as `train`."""
    phases, phase = settings["phases"], settings["phases"][number]
    guides_of = labelled if phase["objective"] == "semi_supervised" else None
    batches = list(_batches(cells, guides_of, settings["batch_size"]))
    totals: dict[str, Tensor] = {}
    model.train()
    for step, (rows, guides) in enumerate(batches):
        done = epoch + step / len(batches)
        with _products(cells, settings):
            guide = None if guides is None else labelled.batch(guides)
            parts = _loss(
                model, phase["objective"], cells.batch(rows), guide, _progress(phases, number, done)
            )
        _check_finite(
            parts, sum(other["epochs"] for other in phases[:number]) + epoch + 1, step + 1
        )
        parts["loss"].backward()
        if settings["clip_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step(
            phase["learning_rate"]
            * _share_of_rate((done + 1 / len(batches)) / phase["epochs"], settings)
        )
        for name, part in parts.items():
            totals[name] = totals.get(name, 0) + part.detach() * len(rows)
    return {name: total.item() / len(cells) for name, total in totals.items()}


def _products(cells: Cells, settings: dict) -> torch.autocast:
    """Return the context in which matrix products take place in the precision of the settings."""
    return torch.autocast(
        cells.device.type, torch.bfloat16, enabled=settings["precision"] == "bf16"
    )


def _batches(
    cells: Cells, labelled: Cells | None, batch_size: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the rows of each batch of an epoch, every cell once, and beside them, if asked for, rows of labelled cells."""
    chunks = list(torch.randperm(len(cells)).split(batch_size))
    if len(chunks) > 1 and len(chunks[-1]) == 1:  # batch normalisation cannot take one cell
        chunks[-2:] = [torch.cat(chunks[-2:])]
    if labelled is None:
        yield from ((rows, None) for rows in chunks)
        return
    size = min(batch_size, len(labelled))
    rounds = math.ceil(len(chunks) * size / len(labelled))
    order = torch.cat([torch.randperm(len(labelled)) for _ in range(rounds)])
    yield from zip(chunks, order.split(size), strict=False)


def _loss(
    model: LatentModel, objective: str, batch: Batch, guide: Batch | None, progress: float
) -> dict[str, Tensor]:
    """Return the parts of what a phase minimises: the loss of a batch, and that of labelled cells beside it if there are any."""
    of_cells = {"pretraining": "pretraining_loss", "supervised": "supervised_loss"}.get(
        objective, "loss"
    )
    parts = getattr(model, of_cells)(batch, progress)
    if guide is None:
        return parts
    guided = model.supervised_loss(guide, progress)
    labelled = {f"labelled_{name}": part for name, part in guided.items()}
    return {**parts, **labelled, "loss": parts["loss"] + guided["loss"]}


def _progress(phases: list[dict], number: int, epochs_done: float) -> float:
    """Return the share that is over, pre-training and training counted apart."""
    pretraining = phases[number]["objective"] == "pretraining"
    alike = [
        phase["epochs"] if (phase["objective"] == "pretraining") == pretraining else 0
        for phase in phases
    ]
    return (sum(alike[:number]) + epochs_done) / sum(alike)


def _share_of_rate(done: float, settings: dict) -> float:
    """Return the share of the learning rate after a share of a phase: a linear rise, then constant, or falling as a cosine."""
    warmup = settings["warmup"]
    if done < warmup:
        return done / warmup
    if settings["schedule"] == "constant":
        return 1.0
    return COSINE_END + (1 - COSINE_END) * 0.5 * (
        1 + math.cos(math.pi * (done - warmup) / (1 - warmup))
    )


def _check_finite(parts: dict[str, Tensor], epoch: int, step: int) -> None:
    if torch.isfinite(parts["loss"]):
        return
    name = next(
        (name for name, part in parts.items() if name != "loss" and not torch.isfinite(part)),
        "loss",
    )
    raise TrainingError(f"loss part '{name}' is {parts[name].item()} in epoch {epoch}, step {step}")


def _check_converging(course: Course, means: dict[str, float], epoch: int) -> None:
    loss = means["loss"]
    if course.first is None:
        course.first = loss
    elif loss - course.first > DIVERGED * max(abs(course.first), 1):
        largest = max(
            (name for name in means if name != "loss"),
            key=lambda name: abs(means[name]),
            default="loss",
        )
        raise TrainingError(
            f"the loss diverged: {loss:.4g} in epoch {epoch}, {course.first:.4g} in the first; its largest part is '{largest}'"
        )


def _remember_best(course: Course, model: LatentModel, loss: float) -> None:
    course.idle += 1
    if course.best is None or loss < course.best:
        course.best, course.idle = loss, 0
        course.weights = {name: value.clone() for name, value in model.state_dict().items()}


@torch.no_grad()
def mean_loss(model: LatentModel, objective: str, cells: Cells) -> dict[str, float]:
    """Return the mean loss parts of cells without training on them, without masks and labels, as at the end of a training."""
    model.eval()
    objective = "pretraining" if objective == "pretraining" else "unsupervised"
    totals: dict[str, float] = {}
    for rows in torch.arange(len(cells)).split(AT_ONCE):
        for name, part in _loss(
            model, objective, cells.batch(rows, masked=False), None, 1.0
        ).items():
            totals[name] = totals.get(name, 0) + part.item() * len(rows)
    return {name: total / len(cells) for name, total in totals.items()}


def _for_placing(model: LatentModel, cells: Cells) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return what models see, mean latents and conditions of a random part of the cells, by which components are placed."""
    model.eval()
    rows = torch.randperm(len(cells))[:PLACED_BY]
    batches = [cells.batch(some, masked=False) for some in rows.split(AT_ONCE)]
    with torch.no_grad():
        means = torch.cat([model.encode(batch.seen, batch.condition).mean for batch in batches])
    conditions = (
        None if cells.condition is None else torch.cat([batch.condition for batch in batches])
    )
    return torch.cat([batch.seen for batch in batches]).float(), means, conditions


def _save(checkpoint: Checkpoint, course: Course, model: LatentModel, optimizer: Adam) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"weights.{name}": value for name, value in course.weights.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer.state().items()}
    notes = {
        name: value for name, value in vars(course).items() if name not in ("weights", "optimizer")
    }
    checkpoint.save(tensors, notes)


def _resumed(model: LatentModel, checkpoint: Checkpoint | None) -> Course:
    """Return the course that a checkpoint holds, the model set to its weights, or a new one where there is none."""
    restored = checkpoint.load() if checkpoint else None
    if restored is None:
        return Course()
    tensors, notes = restored
    model.load_state_dict(_under("model", tensors))
    weights = {name: value.to(model.device) for name, value in _under("weights", tensors).items()}
    return Course(**notes, weights=weights, optimizer=_under("optimizer", tensors))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def _entries(epoch: int, split: str, parts: dict[str, float]) -> list[dict]:
    return [
        {"epoch": epoch, "split": split, "part": part, "value": value}
        for part, value in parts.items()
    ]
