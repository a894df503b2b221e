"""The one small study that is run to its report, whose results many tests look at, each from
another side.

It has a model of each fate: one from which cells can be drawn; a family as a method developer
would add it, whose loss is not a number for one of two seeds; one of more components than cells,
which always fails; and one that predicts. The first two have the width of the floor that each
study has, so that there is one floor.
"""

from pathlib import Path

from helpers import CHEAP, Workflow

# A family as a method developer would add it: a linear autoencoder, whose loss is not a number for
# one seed.
TOY_HYPERPARAMETERS = """
from pydantic import Field
from sclatent.families.base import BaseHyperparameters


class Hyperparameters(BaseHyperparameters):
    bad_seed: int = Field(-1, description="seed for which the loss is not a number")
"""
TOY = """
import torch
from torch import nn

from sclatent.nn.likelihoods import squared_error
from sclatent.models.base import LatentModel, Latents


class Model(LatentModel):
    def __init__(self, n_features, n_vars, n_conditions, hyperparameters):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        self.encoder = nn.Linear(n_features, self.latent_dim)
        self.decoder = nn.Linear(self.latent_dim, n_vars)
        self.factor = torch.nan if torch.initial_seed() == hyperparameters.bad_seed else 1.0

    def loss(self, batch, progress=1.0):
        decoded = self.decode(self.encode(batch.seen).mean)
        return {"loss": self.factor * squared_error(batch.x, decoded).mean()}

    def encode(self, seen, condition=None):
        z = self.encoder(seen)
        return Latents(z, z)

    def decode(self, z, condition=None, sample=False):
        return self.decoder(z)
"""
QUICK = {"epochs": 3, "batch_size": 256}
DOTS = {"title": "Dots", "format": "blobs", "blobs": {"n_cells": 40}, "normalization": "none"}
LONG_TITLE = (
    "Autoencoder_ with a *long* title of <more> than fifty letters & "
    "</script><script>spoilt()</script>"
)
STUDIES = {
    "small": {
        "title": "Small",
        "datasets": ["pbmc68k_reduced"],
        "models": ["drawing", "toy", "wide"],
        "seeds": [0, 7],
        **CHEAP,
    },
    "treatment": {
        "title": "Treatment, of dots",
        "datasets": ["dots"],
        "models": ["flipping"],
        "seeds": [3],
        "evaluations": ["perturbation"],
    },
}
SMALL = {
    "run": list(STUDIES),
    "studies": STUDIES,
    "datasets": {"dots": DOTS},
    "models": {
        "drawing": {
            "title": "VAE",
            "family": "vae",
            "hyperparameters": {"latent_dim": 50},
            "training": QUICK,
        },
        "toy": {
            "title": "Toy",
            "family": "toy",
            "hyperparameters": {"latent_dim": 50, "bad_seed": 7},
            "training": QUICK,
        },
        "wide": {
            "title": "More components than cells",
            "family": "pca",
            "hyperparameters": {"latent_dim": 4000},
        },
        "flipping": {
            "title": LONG_TITLE,
            "family": "cvae",
            "hyperparameters": {"latent_dim": 2},
            "training": QUICK,
        },
    },
}


def small_study(folder: Path) -> Workflow:
    """Return a copy of the project that is to run the small study."""
    workflow = Workflow(folder)
    workflow.add_family("toy", TOY_HYPERPARAMETERS, TOY)
    workflow.configure(**SMALL)
    return workflow
