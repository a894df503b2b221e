"""What a training may learn from: training cells, with the labels and conditions it may see."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sclatent.common.errors import UserError
from sclatent.config.models import VisibleLabels
from sclatent.io.expression import (
    Values,
    check_none_held_out,
    held_out_cells,
    read_genes,
    read_labels,
    read_values,
)
from sclatent.io.tables import read_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """N cells that a training may learn from.

    Optional fields are None, or empty for names, if the model does not use them.
    """

    values: Values
    condition: Tensor | None = None  # (N, C) one-hot
    conditions: tuple[str, ...] = ()  # names of the C conditions
    label: Tensor | None = None  # (N,) class of each cell
    classes: tuple[str, ...] = ()  # names of the classes
    # Positions of the genes that are shared with the cells that are trained on, if these cells are
    # of another data set; None if all are shared.
    genes: Tensor | None = None

    def take(self, rows: Tensor) -> "TrainingData":
        """Return some of the cells; the same object if they are all.

        Parameters
        ----------
        rows
            (n,), sorted positions.
        """
        if len(rows) == len(self.values.cells):
            return self
        return replace(
            self,
            values=self.values.take(rows.numpy()),
            condition=None if self.condition is None else self.condition[rows],
            label=None if self.label is None else self.label[rows],
        )


class DataFiles(NamedTuple):
    """The files from which a training reads its cells."""

    data: str | Path  # what models are trained on, of the kind "preprocessed" or "training"
    split: str | Path  # of the kind "preprocessed": labels, and which cells are held out
    clusters: str | Path | None = None  # of the kind "data_clusters", for the labels louvain
    # The same as the first two, if the labelled cells are of another data set.
    labelled: str | Path | None = None
    labelled_split: str | Path | None = None


def read_for_run(
    files: DataFiles, visible: VisibleLabels, dataset: str, counts: bool
) -> tuple[TrainingData, TrainingData | None]:
    """Read the cells of a run and the cells whose labels it may see.

    Parameters
    ----------
    files
        Where the cells are.
    visible
        Which labels the run sees.
    dataset
        Name of the data set that is trained on.
    counts
        Whether the model explains counts.

    Returns
    -------
    The training cells; and the cells with labels: the same object, or cells of another data set
    with the genes of this one, or None if the run sees no labels.

    Raises
    ------
    LeakError
        If a cell that is held out would be trained on.
    UserError
        If the files do not have what the run needs.
    """
    labels = {"labels": visible.labels, "clusters": files.clusters}
    if visible.labelled == dataset:
        data = read_training_data(
            files.data, files.split, visible.condition, counts=counts, **labels
        )
        return data, data
    data = read_training_data(files.data, files.split, visible.condition, counts=counts)
    if files.labelled is None or files.labelled_split is None:
        return data, None
    other = read_training_data(
        files.labelled, files.labelled_split, visible.condition, data.conditions, counts, **labels
    )
    other = without_held_out(other, files.split)
    return data, align(other, read_genes(files.labelled_split), read_genes(files.split))


def read_training_data(
    data: str | Path,
    split: str | Path,
    condition: str | None = None,
    conditions: tuple[str, ...] | None = None,
    counts: bool = False,
    labels: str | None = None,
    clusters: str | Path | None = None,
) -> TrainingData:
    """Read the training cells of a data set, and those of their labels that a model may see.

    Parameters
    ----------
    data
        The file that models are trained on.
    split
        The file of the kind "preprocessed".
    condition
        The label that is the condition; None if the model uses none.
    conditions
        Names of the conditions that the model has; None for all that there are.
    counts
        Whether the model explains counts.
    labels
        cell_type or louvain; None for no labels.
    clusters
        The table of the kind "data_clusters", for louvain.

    Raises
    ------
    LeakError
        If a cell is held out.
    UserError
        If a file does not have what is read.
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
        assert clusters is not None, "Louvain clusters are read from a table"
        label, classes = _read_clusters(clusters, values.cells)
    else:
        label, classes = read_labels(split, labels, values.cells)
    return replace(read, label=torch.tensor(label), classes=tuple(classes))


def _read_clusters(path: str | Path, cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the Louvain cluster (n,) of cells, and the names of all clusters."""
    clusters = read_table(path, "data_clusters").set_index("cell")["cluster"]
    return clusters.loc[cells].to_numpy(), [str(i) for i in range(int(clusters.max()) + 1)]


def read_conditions(
    path: str | Path, column: str, cells: np.ndarray, known: tuple[str, ...] | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Read the conditions of cells.

    Parameters
    ----------
    path
        A file of the kind "preprocessed".
    column
        The label that is the condition.
    cells
        (N,), names of the cells.
    known
        Names of the conditions that the model has; None for all that there are.

    Returns
    -------
    The conditions, (N, C) one-hot, and their names.

    Raises
    ------
    UserError
        If a cell has a condition that is not known.
    """
    codes, levels = read_labels(path, column, cells)
    known = known or tuple(levels)
    if unknown := {levels[code] for code in np.unique(codes)} - set(known):
        raise UserError(
            f"{path}: {column} '{min(unknown)}' is none that the model knows, which are "
            f"{', '.join(known)}"
        )
    positions = torch.tensor([known.index(level) if level in known else -1 for level in levels])
    one_hot = torch.nn.functional.one_hot(positions[torch.from_numpy(codes)], len(known))
    return one_hot.float(), known


def without_held_out(other: TrainingData, split: str | Path) -> TrainingData:
    """Return labelled cells of another data set without those that this data set holds out.

    Parameters
    ----------
    other
        The labelled cells.
    split
        The file of the kind "preprocessed" of this data set. Cells are compared by name.
    """
    kept = ~np.isin(other.values.cells, held_out_cells(split))
    if not kept.all():
        logger.warning("%d labelled cells are held out here, and are left out", (~kept).sum())
    return other.take(torch.from_numpy(np.flatnonzero(kept)))


def align(other: TrainingData, genes_of_other: np.ndarray, genes: np.ndarray) -> TrainingData:
    """Return the cells of another data set with the genes of this one.

    Parameters
    ----------
    other
        Cells of another data set.
    genes_of_other
        Names of its genes.
    genes
        (D,), names of the genes of this data set.

    Returns
    -------
    The cells with D genes. Genes that only this data set has are 0. `genes` are the positions of
    those that both have.

    Raises
    ------
    UserError
        If they have no gene in common.
    """
    place = {gene: i for i, gene in enumerate(genes_of_other)}
    shared = np.array([i for i, gene in enumerate(genes) if gene in place], dtype=np.int64)
    if not len(shared):
        raise UserError(
            "the data set of the labelled cells has no gene named as in this one: "
            f"{genes_of_other[0]}, {genes[0]}"
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
