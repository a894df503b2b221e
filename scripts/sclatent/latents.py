"""From a trained model and cells to latents."""

import numpy as np
import torch

from sclatent.errors import TrainingError
from sclatent.models.base import LatentModel
from sclatent.values import Values

BATCH = 4096


@torch.no_grad()
def encode(model: LatentModel, values: Values) -> dict[str, np.ndarray]:
    """Return the latents of all N cells: {"mean": (N, L)} and, for stochastic models, {"sample": (N, L)}, float32.

    Raises TrainingError where a latent is not finite, or the mean is the same for every cell.
    """
    starts = range(0, len(values.cells), BATCH)
    batches = [model.encode(torch.from_numpy(values.dense(slice(i, i + BATCH))).to(model.device)) for i in starts]
    latents = {"mean": torch.cat([batch.mean for batch in batches]).cpu().numpy()}
    if model.stochastic:
        latents["sample"] = torch.cat([batch.sample for batch in batches]).cpu().numpy()
    for name, latent in latents.items():
        if not np.isfinite(latent).all():
            raise TrainingError(f"the {name} latent of {np.sum(~np.isfinite(latent).all(axis=1))} cells is not finite")
    if (latents["mean"] == latents["mean"][0]).all():
        raise TrainingError("the model collapsed: its mean latent is the same for every cell")
    return latents
