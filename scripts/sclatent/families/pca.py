"""Hyper-parameters of principal component analysis."""

from typing import ClassVar

from sclatent.families.base import BaseHyperparameters


class Hyperparameters(BaseHyperparameters):
    """PCA has its number of components only."""

    closed_form: ClassVar[bool] = True
