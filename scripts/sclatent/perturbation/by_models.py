"""Predict treated cells with a trained model, in each way that its family allows.

A model that sees no condition predicts by arithmetic in its latent space. A model that sees the
condition predicts by flipping it.
"""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.common.vocabulary import TRAIN
from sclatent.models.base import Latents
from sclatent.perturbation.baselines import WEIGHTS, MeanProfiles, similarity_weights
from sclatent.perturbation.targets import PerturbationData, Prediction, Target
from sclatent.training.model_with_input import ModelWithInput


def predictions_of_model(
    trained: ModelWithInput,
    conditions: list[str],
    condition: str | None,
    cells: PerturbationData,
    target: Target,
) -> Iterator[tuple[Prediction, Target]]:
    """Yield the predictions that a model can make, each with the target it is compared with.

    Parameters
    ----------
    trained
        The model.
    conditions
        Levels of the label that the model sees as its condition, in their order.
    condition
        Which label the model sees as its condition: None, "condition", or another label.
    cells
        Cells of the data set.
    target
        What is predicted.

    Raises
    ------
    TrainingError
        If the model can make no prediction.
    """
    if condition is None:
        if not cells.held_out:
            raise TrainingError(
                "the model sees no condition, and in sample the responses of other types are no "
                "prediction"
            )
        predictions = latent_arithmetic(trained, cells, target)
    elif condition == "condition":
        predictions = condition_flips(trained, conditions, cells, target)
    else:
        raise TrainingError(f"the model sees the {condition} of cells, not their condition")
    for prediction in predictions:
        yield prediction, target


@torch.no_grad()
def latent_arithmetic(
    trained: ModelWithInput, cells: PerturbationData, target: Target
) -> Iterator[Prediction]:
    """Yield predictions of a model that sees no condition: latents of control cells are moved.

    Parameters
    ----------
    trained
        The model.
    cells
        Cells of the data set.
    target
        What is predicted.

    Notes
    -----
    The moved latents are decoded. The known types are those whose response models can learn from.

    - latent_mean_shift, latent_nearest_shift, latent_similarity_shift: mean latents, moved by the
      weighted differences between treated and control mean latents of the known types. Weights are
      those of `sclatent.perturbation.baselines`, from the mean expression of the types.
    - latent_similarity_residual: the control cells themselves, plus the change of their
      reconstruction by latent_similarity_shift.
    - latent_kriging_shift: as latent_similarity_shift, but with weights from the types' mean
      latents, the space in which latents are moved.
    - scgen: drawn latents, moved by the difference between all treated and all control training
      cells. Each type is resampled to the size of the largest; the target's type is among the
      control cells only. Source: Lotfollahi, Wolf and Theis 2019.
    """
    control = cells.dense(target.control)
    latents = _encode(trained, control)
    types = cells.known_types(target)
    before = _mean_latents(trained, cells, types, cells.control)
    after = _mean_latents(trained, cells, types, target.condition)
    profile, known = control.mean(axis=0), cells.known_profiles(target)
    all_weights = {name: weights(profile, known) for name, weights in WEIGHTS.items()}
    all_weights["kriging"] = similarity_weights(
        latents.mean.mean(0).cpu().numpy(),
        MeanProfiles(before.cpu().numpy(), after.cpu().numpy()),
    )
    for name, weights in all_weights.items():
        shift = torch.from_numpy(weights).to(after) @ (after - before)
        moved = _decode(trained, latents.mean + shift, control)
        yield Prediction(f"latent_{name}_shift", *moved)
        if name == "similarity":
            # Decoding also draws. The draws are not used here, but later draws depend on them.
            after_shift, _ = _decode(trained, latents.mean + shift, control)
            before_shift, _ = _decode(trained, latents.mean, control)
            residual = control + after_shift - before_shift
            yield Prediction("latent_similarity_residual", residual, residual)
    moved = latents.sample + _balanced_difference(trained, cells, target)
    yield Prediction("scgen", *_decode(trained, moved, control))


@torch.no_grad()
def condition_flips(
    trained: ModelWithInput, conditions: list[str], cells: PerturbationData, target: Target
) -> Iterator[Prediction]:
    """Yield predictions of a model that sees the condition: control cells with it flipped.

    There is one prediction for each way in which the model's family flips a condition.

    Parameters
    ----------
    trained
        The model.
    conditions
        Levels of the condition that the model sees, in their order.
    cells
        Cells of the data set.
    target
        What is predicted.

    Raises
    ------
    TrainingError
        If the family cannot flip a condition.
    """
    if not trained.model.hp.flip_paths:
        raise TrainingError("the model's family cannot flip a condition")
    control = cells.dense(target.control)
    seen = trained.input(torch.from_numpy(control).to(trained.model.device))
    before, after = (
        _one_hot(conditions, name, len(control)).to(seen)
        for name in (cells.control, target.condition)
    )
    # Families with flip_paths have this method; torch's type of unknown attributes is a tensor.
    flip = cast(Callable[..., Tensor], trained.model.flip)
    for path in trained.model.hp.flip_paths:
        options = {"path": path} if path else {}
        expected, drawn = (
            _values(trained, flip(seen, before, after, sample=sample, **options), control)
            for sample in (False, True)
        )
        yield Prediction(f"flip_{path}" if path else "flip", expected, drawn)


def _mean_latents(
    trained: ModelWithInput, cells: PerturbationData, types: list[str], condition: str
) -> Tensor:
    """Return the mean latent (T, L) of the training cells of each type in a condition."""
    return torch.stack(
        [
            _encode(trained, cells.dense(cells.rows(name, condition, TRAIN))).mean.mean(0)
            for name in types
        ]
    )


def _balanced_difference(
    trained: ModelWithInput, cells: PerturbationData, target: Target
) -> Tensor:
    """Return the difference (L,) between drawn latents of treated and control training cells.

    Types are resampled to equal sizes.
    """
    treated = _balanced_mean(trained, cells, target.condition)
    return treated - _balanced_mean(trained, cells, cells.control)


def _balanced_mean(trained: ModelWithInput, cells: PerturbationData, condition: str) -> Tensor:
    """Return the mean (L,) of drawn latents of training cells, with types of equal sizes."""
    types = cells.obs["cell_type"].cat.categories
    rows_by_type = [cells.rows(name, condition, TRAIN) for name in types]
    rows_by_type = [rows for rows in rows_by_type if len(rows)]
    largest = max(map(len, rows_by_type))
    drawn = np.concatenate(
        [rows[torch.randint(len(rows), (largest,)).numpy()] for rows in rows_by_type]
    )
    unique, times = np.unique(drawn, return_counts=True)
    sample = _encode(trained, cells.dense(unique)).sample
    return torch.from_numpy(times / times.sum()).to(sample) @ sample


def _encode(trained: ModelWithInput, values: np.ndarray) -> Latents:
    """Return the latents of cells (n, G)."""
    return trained.encode(torch.from_numpy(values).to(trained.model.device))


def _decode(
    trained: ModelWithInput, z: Tensor, control: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected and a drawn expression (n, G) of latents (n, L).

    control: expression (n, G) of the control cells from which the latents come.
    """
    expected = _values(trained, trained.model.decode(z, sample=False), control)
    drawn = _values(trained, trained.model.decode(z, sample=True), control)
    return expected, drawn


def _values(trained: ModelWithInput, x: Tensor, control: np.ndarray) -> np.ndarray:
    """Return what a model decodes, (n, G), as normalised values.

    Counts get the total counts that the control cells (n, G) have.
    """
    total = x.new_ones(())
    if trained.n_counts:
        total = torch.from_numpy(np.expm1(control).sum(axis=1, keepdims=True)).to(x)
    return trained.normalised(x, total).cpu().numpy()


def _one_hot(conditions: list[str], name: str, n: int) -> Tensor:
    code = torch.full((n,), conditions.index(name))
    return torch.nn.functional.one_hot(code, len(conditions)).float()
