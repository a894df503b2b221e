"""From a trained model and cells to latents."""

import numpy as np
import torch
from scipy import sparse

from sclatent.errors import TrainingError
from sclatent.models.base import LatentModel

BATCH = 4096


@torch.no_grad()
def encode(model: LatentModel, x: sparse.csr_matrix) -> dict[str, np.ndarray]:
    """Return the latents of cells x (N, G): {"mean": (N, L)} and, for stochastic models, {"sample": (N, L)}, float32.

    Raises TrainingError where a latent is not finite, or the mean is the same for every cell.
    """
    batches = [model.encode(torch.from_numpy(x[i : i + BATCH].toarray()).to(model.device)) for i in range(0, x.shape[0], BATCH)]
    latents = {"mean": torch.cat([batch.mean for batch in batches]).cpu().numpy()}
    if model.stochastic:
        latents["sample"] = torch.cat([batch.sample for batch in batches]).cpu().numpy()
    for name, latent in latents.items():
        if not np.isfinite(latent).all():
            raise TrainingError(f"the {name} latent of {np.sum(~np.isfinite(latent).all(axis=1))} cells is not finite")
    if (latents["mean"] == latents["mean"][0]).all():
        raise TrainingError("the model collapsed: its mean latent is the same for every cell")
    return latents
