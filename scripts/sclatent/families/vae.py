"""Hyper-parameters of the beta-VAE."""

from sclatent.families.base import VariationalHyperparameters


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder."""
