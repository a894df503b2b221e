"""One run: from training cells and the settings of a model to a trained model and its history."""

from dataclasses import replace
from typing import TextIO

import numpy as np
import torch
from torch import Tensor

from sclatent.common.errors import UserError
from sclatent.config.base import Section
from sclatent.config.models import Input as InputSettings
from sclatent.config.models import Phase, Training
from sclatent.families.base import (
    BaseHyperparameters,
    MixtureHyperparameters,
    VariationalHyperparameters,
)
from sclatent.io.blocks import BLOCK
from sclatent.training.batches import CellBatches, sparse_pays
from sclatent.training.checkpoints import Checkpoint
from sclatent.training.inputs import Input
from sclatent.training.labelled import TrainingData
from sclatent.training.loop import LossEntry, train
from sclatent.training.model_with_input import ModelWithInput


class RunSettings(Section):
    """The settings of a run, as the workflow passes them and as the run's record keeps them."""

    family: str  # name of the model's family
    hyperparameters: dict[str, object]  # those of the family, by name
    input: InputSettings  # what the model sees
    training: Training  # how it is trained, every phase written out
    share: float | None  # share of the labelled cells whose label is seen; None without labels

    def for_record(self) -> dict:
        """Return the settings as the record of the run has them.

        The settings that each phase has are left out of the training: phases name them.
        """
        record = self.model_dump()
        record["training"] = self.training.model_dump(exclude=set(Phase.model_fields))
        return record


def train_run(
    data: TrainingData,
    labelled: TrainingData | None,
    settings: RunSettings,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
    terminal: TextIO | None = None,
) -> tuple[ModelWithInput, list[LossEntry]]:
    """Train a model on the cells of a run. Randomness comes from torch's global generator.

    Parameters
    ----------
    data
        The training cells.
    labelled
        Cells whose labels may be seen: `data` itself, or cells of another data set that are
        aligned with it; None for no labels.
    settings
        The model and its training.
    device
        "cpu" or "cuda".
    checkpoint
        Where the state of the training is saved.
    terminal
        Where to show the progress.

    Returns
    -------
    The model, in evaluation mode, and the history of its loss.

    Raises
    ------
    UserError
        If the settings do not fit the data.
    TrainingError
        If the training fails because of the model.
    """
    training = settings.training
    watched, rows = _split_validation(data, training.validation)
    # Drawn before anything that depends on the model, so that all models see the same labels.
    guides = None if labelled is None else _draw_guides(data, labelled, rows, settings.share)
    model_input = Input(
        data.values.n_vars,
        **settings.input.model_dump(),
        genes=None if labelled is None else labelled.genes,
    )
    model_input.fit(data.take(rows).values)
    model_input.to(device)
    n_counts = None if data.values.counts is None else model_input.n_genes
    trained = ModelWithInput(
        settings.family, settings.hyperparameters, model_input, n_counts, data.conditions
    ).to(device)
    model = trained.model
    in_bfloat16 = training.precision == "bf16" and not model.hp.closed_form
    dtype = torch.bfloat16 if in_bfloat16 else torch.float32
    sparse = sparse_pays(model.sparse_widths, data.values, model_input, training.batch_size, device)
    unlabelled = replace(data, label=None)
    cells = _cells(unlabelled.take(rows), model_input, device, dtype, sparse)
    validation = guide_cells = None
    if len(watched):
        validation = _cells(unlabelled.take(watched), model_input, device, dtype, sparse)
    if guides is not None:
        guide_cells = _cells(guides, model_input, device, dtype, sparse)
        _check_classes(model.hp, guides)
    _check_range(model.hp, [cells] if guide_cells is None else [cells, guide_cells])
    if n_counts is not None:
        model.set_library(_median_total(cells))
    history = train(model, cells, training, guide_cells, validation, checkpoint, terminal)
    return trained.eval(), history


def _split_validation(data: TrainingData, share: float) -> tuple[Tensor, Tensor]:
    """Return the rows of the cells that are only watched, and of those that are trained on.

    Raises
    ------
    UserError
        If a share above 0 leaves no cells for one of the two.
    """
    n_cells = len(data.values.cells)
    watched = _draw(data.values.cells, share)
    rows = torch.tensor(np.setdiff1d(np.arange(n_cells), watched.numpy()))
    if share and not (len(watched) and len(rows)):
        raise UserError(
            f"validation: {share} leaves {len(watched)} of {n_cells} cells to watch and "
            f"{len(rows)} to train on; some of both are needed"
        )
    return watched, rows


def _draw_guides(
    data: TrainingData, labelled: TrainingData, rows: Tensor, share: float | None
) -> TrainingData:
    """Return a random share of the labelled cells, at least two; of `data` only those in rows."""
    assert share is not None, "a run with labels has a share of them"
    candidates = rows if labelled is data else torch.arange(len(labelled.values.cells))
    drawn = _draw(labelled.values.cells[candidates.numpy()], share, at_least=2)
    return labelled.take(candidates[drawn])


def _cells(
    data: TrainingData, model_input: Input, device: str, dtype: torch.dtype, sparse: bool
) -> CellBatches:
    """Return cells as batches on the device."""
    return CellBatches(data.values, model_input, data.condition, data.label, device, dtype, sparse)


def _draw(cells: np.ndarray, share: float, at_least: int = 0) -> Tensor:
    """Return the rows, sorted, of a random share of cells.

    The share is drawn by name: of a cell that occurs in several rows, all or none are returned.
    """
    names = np.unique(cells)
    chosen = names[torch.randperm(len(names)).numpy()[: max(at_least, round(share * len(names)))]]
    return torch.from_numpy(np.flatnonzero(np.isin(cells, chosen)))


def _median_total(cells: CellBatches) -> float:
    """Return the median over cells of the total count, over the genes that the model uses."""
    counts = cells.values.counts
    assert counts is not None
    if cells.input.genes is not None:
        counts = counts[:, cells.input.genes.cpu().numpy()]
    return float(np.median(np.asarray(counts.sum(axis=1)).ravel()))


def _check_classes(hp: BaseHyperparameters, labelled: TrainingData) -> None:
    """Raise UserError if labels have more classes than there are components."""
    assert isinstance(hp, MixtureHyperparameters), "only mixtures see labels"
    if len(labelled.classes) > hp.n_components:
        raise UserError(
            f"n_components is {hp.n_components}, but the labels have {len(labelled.classes)} "
            "classes; raise it"
        )


def _check_range(hp: BaseHyperparameters, all_cells: list[CellBatches]) -> None:
    """Raise UserError if the likelihood is Bernoulli and values are not from 0 to 1."""
    has_likelihood = isinstance(hp, VariationalHyperparameters | MixtureHyperparameters)
    if not has_likelihood or hp.likelihood != "bernoulli":
        return
    for cells in all_cells:
        x = cells.batch(torch.arange(min(len(cells), BLOCK)), masked=False).x
        if x.min() < 0 or x.max() > 1:
            raise UserError(
                f"likelihood bernoulli needs values from 0 to 1, but models see them from "
                f"{x.min():g} to {x.max():g}; choose another likelihood, or a data set with "
                "normalization: unit and an input that leaves values as they are"
            )
