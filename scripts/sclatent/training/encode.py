"""From a trained model and cells to latents."""

import numpy as np
import torch
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.io.blocks import BLOCK
from sclatent.io.expression import Values
from sclatent.training.batches import CellBatches
from sclatent.training.loop import mean_loss
from sclatent.training.model_with_input import ModelWithInput


@torch.no_grad()
def encode(
    model: ModelWithInput, values: Values, condition: Tensor | None = None
) -> dict[str, np.ndarray]:
    """Return the latents of cells.

    Parameters
    ----------
    model
        A trained model.
    values
        N cells.
    condition
        (N, C) one-hot; None for families that do not use conditions.

    Returns
    -------
    Latents by name, float32: mean (N, L); sample (N, L) for generative families; responsibilities
    (N, K), w_mean (N, W) and w_sample (N, W) for mixtures.

    Raises
    ------
    TrainingError
        If a latent is not finite, or if the mean is the same for every cell.
    """
    device = model.model.device
    batches = []
    for start in range(0, len(values.cells), BLOCK):
        rows = slice(start, start + BLOCK)
        x = torch.from_numpy(values.dense(rows)).to(device)
        batches.append(model.encode(x, None if condition is None else condition[rows].to(device)))
    latents = {}
    for name in batches[0]._fields:
        has_name = getattr(batches[0], name) is not None
        if has_name and (name != "sample" or model.model.hp.generative):
            latents[name] = torch.cat([getattr(batch, name) for batch in batches]).cpu().numpy()
    for name, latent in latents.items():
        n_bad = np.sum(~np.isfinite(latent).all(axis=1))
        if n_bad:
            raise TrainingError(f"the {name} latent of {n_bad} cells is not finite")
    if (latents["mean"] == latents["mean"][0]).all():
        raise TrainingError("the model collapsed: its mean latent is the same for every cell")
    return latents


def loss_to_choose_by(
    model: ModelWithInput, values: Values, condition: Tensor | None = None
) -> float:
    """Return the mean loss, without labels, by which one of several seeds is chosen.

    It is the loss of the held-out cells, or of all cells if none is held out. For models with a
    bound on the evidence it is minus that bound.

    Parameters
    ----------
    model
        A trained model.
    values
        N cells, with counts if the model explains counts.
    condition
        (N, C) one-hot; None for families that do not use conditions.
    """
    rows = np.flatnonzero(~values.training)
    if len(rows):
        values, condition = values.take(rows), None if condition is None else condition[rows]
    cells = CellBatches(values, model.input, condition, device=model.model.device)
    return mean_loss(model.model, "unsupervised", cells)["loss"]
