"""How cells would respond to a treatment, by a trained model: by arithmetic in its latent, or by flipping its condition."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.perturbation.baselines import WEIGHTS, Responses, similarity_weights
from sclatent.perturbation.targets import Prediction, Target, Treated
from sclatent.training.model_with_input import ModelWithInput


def predictions_of_model(
    trained: ModelWithInput,
    conditions: list[str],
    condition: str | None,
    cells: Treated,
    target: Target,
) -> Iterator[tuple[Prediction, Target]]:
    """Yield the predictions that a model can make, each with what it is compared with.

    condition: which label it is told, None for none; conditions: the levels of it. Raises TrainingError where it can make none.
    """
    if condition is None:
        if not cells.held_out:
            raise TrainingError(
                "the model sees no condition, and in sample shifts of other types are no prediction"
            )
        found = latent_arithmetic(trained, cells, target)
    elif condition == "condition":
        found = condition_flips(trained, conditions, cells, target)
    else:
        raise TrainingError(f"the model is told the {condition} of cells, and not the condition")
    for prediction in found:
        yield prediction, target


@torch.no_grad()
def latent_arithmetic(
    trained: ModelWithInput, cells: Treated, target: Target
) -> Iterator[Prediction]:
    """Yield predictions of a model that sees no condition: latents of control cells, moved and decoded.

    latent_mean_shift, latent_nearest_shift, latent_similarity_shift: mean latents, moved by the mean differences of the known
    types, weighted as `sclatent.perturbation.baselines` weights responses of genes. latent_similarity_residual: what the latter
    changes in the reconstruction, added to the control cells themselves. latent_kriging_shift: the types weighted by
    similarity, too, but by that of their mean latents, where the shift takes place. scgen: drawn latents, moved by the
    difference of all treated and all control training cells, of which each type is resampled to the size of the largest; the
    type asked for is among the control cells alone. Source of scgen: Lotfollahi, Wolf and Theis 2019.
    """
    types, known = cells.known_types(target), cells.known_responses(target)
    control = cells.dense(target.control)
    z = _encode(trained, control)
    before, after = (
        torch.stack(
            [
                _encode(trained, cells.dense(cells.rows(name, c, "train"))).mean.mean(0)
                for name in types
            ]
        )
        for c in (cells.control, target.condition)
    )
    shares = {name: weights(control.mean(axis=0), known) for name, weights in WEIGHTS.items()}
    shares["kriging"] = similarity_weights(
        z.mean.mean(0).cpu().numpy(), Responses(before.cpu().numpy(), after.cpu().numpy())
    )
    for name, of_types in shares.items():
        shift = torch.from_numpy(of_types).to(after) @ (after - before)
        yield Prediction(f"latent_{name}_shift", *_decoded(trained, z.mean + shift, control))
        if name == "similarity":
            moved, still = (
                _decoded(trained, latent, control)[0] for latent in (z.mean + shift, z.mean)
            )
            yield Prediction(
                "latent_similarity_residual", control + moved - still, control + moved - still
            )
    yield Prediction(
        "scgen",
        *_decoded(trained, z.sample + _balanced_difference(trained, cells, target), control),
    )


@torch.no_grad()
def condition_flips(
    trained: ModelWithInput, conditions: list[str], cells: Treated, target: Target
) -> Iterator[Prediction]:
    """Yield predictions of a model that sees the condition: control cells flipped to another, each way that its family knows."""
    if not trained.model.hp.flip_paths:
        raise TrainingError("its family flips no condition")
    control = cells.dense(target.control)
    seen = trained.input(torch.from_numpy(control).to(trained.model.device))
    before, after = (
        _one_hot(conditions, name, len(control)).to(seen)
        for name in (cells.control, target.condition)
    )
    for path in trained.model.hp.flip_paths:
        options = {"path": path} if path else {}
        expected, drawn = (
            _values(
                trained, trained.model.flip(seen, before, after, sample=sample, **options), control
            )
            for sample in (False, True)
        )
        yield Prediction(f"flip_{path}" if path else "flip", expected, drawn)


def _balanced_difference(trained: ModelWithInput, cells: Treated, target: Target) -> Tensor:
    """Return the difference (L,) of drawn latents of treated and control training cells, types resampled to equal sizes."""
    means = []
    for condition in (target.condition, cells.control):
        rows = [
            cells.rows(name, condition, "train") for name in cells.obs["cell_type"].cat.categories
        ]
        rows = [of_type for of_type in rows if len(of_type)]
        largest = max(map(len, rows))
        drawn = np.concatenate(
            [of_type[torch.randint(len(of_type), (largest,)).numpy()] for of_type in rows]
        )
        unique, times = np.unique(drawn, return_counts=True)
        sample = _encode(trained, cells.dense(unique)).sample
        weights = torch.from_numpy(times / times.sum()).to(sample)
        means.append(weights @ sample)
    return means[0] - means[1]


def _encode(trained: ModelWithInput, values: np.ndarray):
    """Return the latents of cells (n, G)."""
    return trained.encode(torch.from_numpy(values).to(trained.model.device))


def _decoded(
    trained: ModelWithInput, z: Tensor, control: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return latents (n, L) as expected and as drawn values (n, G) of the control cells that they come from."""
    return tuple(
        _values(trained, trained.model.decode(z, sample=sample), control)
        for sample in (False, True)
    )


def _values(trained: ModelWithInput, x: Tensor, control: np.ndarray) -> np.ndarray:
    """Return what a model makes, (n, G), as normalised values; counts get the totals that the control cells (n, G) have."""
    total = (
        torch.from_numpy(np.expm1(control).sum(axis=1, keepdims=True)).to(x)
        if trained.n_counts
        else x.new_ones(())
    )
    return trained.normalised(x, total).cpu().numpy()


def _one_hot(conditions: list[str], name: str, n: int) -> Tensor:
    return torch.nn.functional.one_hot(
        torch.full((n,), conditions.index(name)), len(conditions)
    ).float()
