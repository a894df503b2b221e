"""One run: from the files of data sets and the settings of a model to a trained model and its history."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sclatent.common.errors import UserError
from sclatent.io.blocks import BLOCK
from sclatent.io.expression import (
    Values,
    check_none_held_out,
    held_out_cells,
    read_labels,
    read_values,
)
from sclatent.io.tables import read_table
from sclatent.training.batches import Cells, sparse_pays
from sclatent.training.checkpoints import Checkpoint
from sclatent.training.inputs import Input
from sclatent.training.loop import train
from sclatent.training.model_with_input import Trained

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Cells that a run may learn from: their values, conditions (N, C) one-hot with names, classes (N,) with names, genes.

    What a run is not told is None, or empty for names. genes: which genes are shared with the cells that are trained on beside
    these, as positions; None for all.
    """

    values: Values
    condition: Tensor | None = None
    conditions: tuple[str, ...] = ()
    label: Tensor | None = None
    classes: tuple[str, ...] = ()
    genes: Tensor | None = None


def read_training_data(
    data: str | Path,
    split: str | Path,
    condition: str | None = None,
    conditions: tuple[str, ...] | None = None,
    counts: bool = False,
    labels: str | None = None,
    clusters: str | Path | None = None,
) -> TrainingData:
    """Read the training cells of a data set, and what a model is told of them. Raises LeakError where a cell is held out.

    data: the file that models are trained on. split: the file of the kind "preprocessed". condition: the label that is the
    condition; conditions: names of those that a model knows, all by default. counts: whether it explains counts. labels:
    cell_type or louvain; clusters: the table of the kind "data_clusters", for louvain.
    """
    values = read_values(data, counts=counts).for_training()
    check_none_held_out(values.cells, split)
    read = TrainingData(values)
    if condition is not None:
        one_hot, names = read_conditions(split, condition, values.cells, conditions)
        read = replace(read, condition=one_hot, conditions=names)
    if labels is None:
        return read
    if labels == "louvain":
        of_cell = read_table(clusters, "data_clusters").set_index("cell")["cluster"]
        label, classes = of_cell[values.cells].to_numpy(), tuple(map(str, range(of_cell.max() + 1)))
    else:
        label, classes = read_labels(split, labels, values.cells)
    return replace(read, label=torch.tensor(label), classes=tuple(classes))


def read_conditions(
    path: str | Path, column: str, cells: np.ndarray, known: tuple[str, ...] | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Return the conditions of cells (N, C) one-hot, and their names; those of `known`, or all that there are.

    Raises UserError where a cell has another condition than those known.
    """
    codes, levels = read_labels(path, column, cells)
    known = known or tuple(levels)
    if unknown := {levels[code] for code in np.unique(codes)} - set(known):
        raise UserError(
            f"{path}: {column} '{min(unknown)}' is none that the model knows, which are {', '.join(known)}"
        )
    positions = torch.tensor([known.index(level) if level in known else -1 for level in levels])
    return torch.nn.functional.one_hot(
        positions[torch.from_numpy(codes)], len(known)
    ).float(), known


def without_held_out(other: TrainingData, split: str | Path) -> TrainingData:
    """Return labelled cells of another data set without those that a file of the kind "preprocessed" holds out, by name."""
    kept = ~np.isin(other.values.cells, held_out_cells(split))
    if not kept.all():
        logger.warning("%d labelled cells are held out here, and are left out", (~kept).sum())
    return _take(other, torch.from_numpy(np.flatnonzero(kept)))


def align(other: TrainingData, genes_of_other: np.ndarray, genes: np.ndarray) -> TrainingData:
    """Return the cells of another data set with the genes (D,) of this one, 0 where it has none, and which genes both have.

    Raises UserError where they share none.
    """
    place = {gene: i for i, gene in enumerate(genes_of_other)}
    shared = np.array([i for i, gene in enumerate(genes) if gene in place], dtype=np.int64)
    if not len(shared):
        raise UserError(
            f"the data set of the labelled cells has no gene named as in this one: {genes_of_other[0]}, {genes[0]}"
        )
    rows = [place[genes[i]] for i in shared]
    moved = sparse.csr_matrix(
        (np.ones(len(shared), np.float32), (rows, shared)), shape=(len(place), len(genes))
    )
    values = other.values
    x = (values.x if values.is_plain else values.dense()) @ moved
    counts = None if values.counts is None else values.counts @ moved
    return replace(
        other,
        values=Values(x, values.cells, values.training, counts=counts),
        genes=torch.from_numpy(shared),
    )


def train_run(
    data: TrainingData,
    labelled: TrainingData | None,
    settings: Mapping,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
    terminal: TextIO | None = None,
) -> tuple[Trained, list[dict]]:
    """Train a model on the cells of a run and return it, in evaluation mode, with the history of its loss.

    labelled: cells whose labels may be seen, those of data or of another data set aligned with it; None for none. settings:
    family, hyperparameters, input, training, and the share of the labels that is seen. Randomness comes from torch's global
    generator. Raises UserError where the settings do not fit the data, TrainingError where the model does not survive.
    """
    training = settings["training"]
    kept_out = _draw(data.values.cells, training["validation"])
    rows = torch.tensor(np.setdiff1d(np.arange(len(data.values.cells)), kept_out.numpy()))
    if training["validation"] and not (len(kept_out) and len(rows)):
        raise UserError(
            f"validation: {training['validation']} leaves {len(kept_out)} of {len(data.values.cells)} cells to watch and "
            f"{len(rows)} to train on; some of both are needed"
        )
    guides = None
    if (
        labelled is not None
    ):  # drawn before anything that depends on the model, so that all models see the same labels
        candidates = rows if labelled is data else torch.arange(len(labelled.values.cells))
        seen = candidates[
            _draw(labelled.values.cells[candidates.numpy()], settings["share"], at_least=2)
        ]
        guides = _take(labelled, seen)
    fitted = Input(
        data.values.n_vars, **settings["input"], genes=None if labelled is None else labelled.genes
    )
    fitted.fit(_take(data, rows).values)
    fitted.to(device)
    n_counts = None if data.values.counts is None else fitted.n_genes
    trained = Trained(
        settings["family"], settings["hyperparameters"], fitted, n_counts, data.conditions
    ).to(device)
    low = training["precision"] == "bf16" and not trained.model.hp.closed_form
    keep = {"device": device, "dtype": torch.bfloat16 if low else torch.float32}
    keep["sparse"] = sparse_pays(
        trained.model.sparse_widths, data.values, fitted, training["batch_size"], device
    )
    unlabelled = replace(data, label=None)
    cells = _cells(_take(unlabelled, rows), fitted, **keep)
    validation = _cells(_take(unlabelled, kept_out), fitted, **keep) if len(kept_out) else None
    guides = None if guides is None else _cells(guides, fitted, **keep)
    _check_fits(
        settings["hyperparameters"], [cells] if guides is None else [cells, guides], labelled
    )
    if n_counts is not None:
        counts = (
            cells.values.counts
            if fitted.genes is None
            else cells.values.counts[:, fitted.genes.cpu().numpy()]
        )
        totals = np.asarray(counts.sum(axis=1)).ravel()
        trained.model.likelihood.library.fill_(float(np.median(totals)))
    history = train(trained.model, cells, training, guides, validation, checkpoint, terminal)
    return trained.eval(), history


def _draw(cells: np.ndarray, share: float, at_least: int = 0) -> Tensor:
    """Return the rows, sorted, of a random share of cells by name: of a cell that was drawn repeatedly all rows or none."""
    names = np.unique(cells)
    chosen = names[torch.randperm(len(names)).numpy()[: max(at_least, round(share * len(names)))]]
    return torch.from_numpy(np.flatnonzero(np.isin(cells, chosen)))


def _take(data: TrainingData, rows: Tensor) -> TrainingData:
    """Return some rows (n,), sorted, of the cells of a run; the same cells, not copied, where they are all."""
    if len(rows) == len(data.values.cells):
        return data
    of_rows = {
        name: None if part is None else part[rows]
        for name, part in (("condition", data.condition), ("label", data.label))
    }
    return replace(data, values=data.values.take(rows.numpy()), **of_rows)


def _cells(data: TrainingData, fitted: Input, **keep) -> Cells:
    return Cells(data.values, fitted, data.condition, data.label, **keep)


def _check_fits(
    hyperparameters: dict, all_cells: list[Cells], labelled: TrainingData | None
) -> None:
    """Refuse labels of more classes than there are components, and values that the likelihood does not have."""
    if labelled is not None and len(labelled.classes) > hyperparameters["n_components"]:
        raise UserError(
            f"n_components is {hyperparameters['n_components']}, but the labels have {len(labelled.classes)} classes; raise it"
        )
    if hyperparameters.get("likelihood") != "bernoulli":
        return
    for cells in all_cells:
        x = cells.batch(torch.arange(min(len(cells), BLOCK)), masked=False).x
        if x.min() < 0 or x.max() > 1:
            raise UserError(
                f"likelihood bernoulli needs values from 0 to 1, but models see them from {x.min():g} to {x.max():g}; choose "
                "another likelihood, or a data set with normalization: unit and an input that leaves values as they are"
            )
