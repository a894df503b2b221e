"""From a trained model and cells to latents."""

import numpy as np
import torch
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.io.expression import Values
from sclatent.training.batches import Cells
from sclatent.training.loop import mean_loss
from sclatent.training.model_with_input import Trained

BATCH = 4096


@torch.no_grad()
def encode(
    trained: Trained, values: Values, condition: Tensor | None = None
) -> dict[str, np.ndarray]:
    """Return the latents of all N cells, float32: {"mean": (N, L)}, for stochastic models {"sample": (N, L)}, for mixtures more.

    Those are {"responsibilities": (N, K), "w_mean": (N, W), "w_sample": (N, W)}. condition: (N, C) one-hot. Raises
    TrainingError where a latent is not finite, or the mean is the same for every cell.
    """
    model = trained.model
    batches = []
    for start in range(0, len(values.cells), BATCH):
        rows = slice(start, start + BATCH)
        x = torch.from_numpy(values.dense(rows)).to(model.device)
        batches.append(
            trained.encode(x, None if condition is None else condition[rows].to(model.device))
        )
    fields = [name for name in batches[0]._fields if name != "sample" or model.hp.generative]
    fields = [name for name in fields if getattr(batches[0], name) is not None]
    latents = {
        name: torch.cat([getattr(batch, name) for batch in batches]).cpu().numpy()
        for name in fields
    }
    for name, latent in latents.items():
        if not np.isfinite(latent).all():
            raise TrainingError(
                f"the {name} latent of {np.sum(~np.isfinite(latent).all(axis=1))} cells is not finite"
            )
    if (latents["mean"] == latents["mean"][0]).all():
        raise TrainingError("the model collapsed: its mean latent is the same for every cell")
    return latents


def loss_to_choose_by(trained: Trained, values: Values, condition: Tensor | None = None) -> float:
    """Return the mean loss, without labels, of the cells held out, or of all N cells where none is.

    For models with a bound on the evidence it is that bound, with the signs changed. condition: (N, C) one-hot. values: with
    counts where the model explains counts.
    """
    rows = np.flatnonzero(~values.training)
    if len(rows):
        values, condition = values.take(rows), None if condition is None else condition[rows]
    return mean_loss(
        trained.model,
        "unsupervised",
        Cells(values, trained.input, condition, device=trained.model.device),
    )["loss"]
