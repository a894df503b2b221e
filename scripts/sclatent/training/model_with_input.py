"""A model together with its input: from the values of a data set to latents, and back."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sclatent.common.errors import TrainingError
from sclatent.families.registry import hyperparameters_class
from sclatent.models.base import Latents
from sclatent.models.registry import load_family
from sclatent.nn.likelihoods import MIN_TOTAL
from sclatent.training.inputs import Input


class ModelWithInput(nn.Module):
    """What a run trains and saves.

    Parameters
    ----------
    family
        Name of the model's family.
    hyperparameters
        Those of the family, by name; they are checked here.
    input
        What the model sees.
    n_counts
        Number G of genes whose counts the model explains; None if it explains the values that it
        sees.
    conditions
        Names of the C conditions; empty for families that do not use conditions.
    """

    def __init__(
        self,
        family: str,
        hyperparameters: Mapping[str, object],
        input: Input,
        n_counts: int | None,
        conditions: Sequence[str],
    ):
        super().__init__()
        checked = hyperparameters_class(family).model_validate(hyperparameters)
        self.input, self.n_counts = input, n_counts
        self.model = load_family(family)(
            input.n_features, n_counts or input.n_features, len(conditions), checked
        )

    def encode(self, values: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the latents of cells.

        Parameters
        ----------
        values
            (B, D), normalised values.
        condition
            (B, C) one-hot; None for families that do not use conditions.
        """
        return self.model.encode(self.input(values), condition)

    def normalised(self, x: Tensor, total: Tensor) -> Tensor:
        """Return expression that the model has computed as normalised values, (B, G).

        Parameters
        ----------
        x
            (B, G), from `LatentModel.decode`.
        total
            (B, 1) or (). Counts are scaled to this total, then log(1 + x) is taken.

        Raises
        ------
        TrainingError
            If the model does not use all genes of the data set.
        """
        if self.input.genes is not None:
            raise TrainingError(
                "the model has the genes alone that it shares with the labelled data set"
            )
        if not self.n_counts:
            return self.input.inverse(x)
        return torch.log1p(x / x.sum(dim=1, keepdim=True).clamp_min(MIN_TOTAL) * total)
