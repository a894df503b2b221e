"""Hyper-parameters of the Gaussian-mixture VAE."""

from sclatent.families.base import MixtureHyperparameters


class Hyperparameters(MixtureHyperparameters):
    """Those of any mixture."""
