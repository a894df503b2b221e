"""A model together with its input: from the values of a data set to latents, and back."""

import torch
from torch import Tensor, nn

from sclatent.common.errors import TrainingError
from sclatent.families.registry import hyperparameters_class
from sclatent.models.base import Latents
from sclatent.models.registry import load_family
from sclatent.training.inputs import Input


class Trained(nn.Module):
    """What a run saves.

    family, hyperparameters: of the model. input: what it is given. n_counts: number G of genes whose counts it explains, None
    where it explains the values it is given. conditions: names of the C conditions that it sees, empty for none.
    """

    def __init__(
        self,
        family: str,
        hyperparameters: dict,
        input: Input,
        n_counts: int | None,
        conditions: list[str],
    ):
        super().__init__()
        checked = hyperparameters_class(family).model_validate(hyperparameters)
        self.input, self.n_counts = input, n_counts
        self.model = load_family(family)(
            input.n_features, n_counts or input.n_features, len(conditions), checked
        )

    def encode(self, values: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the latents of cells from their normalised values (B, D) and conditions (B, C) one-hot."""
        return self.model.encode(self.input(values), condition)

    def normalised(self, x: Tensor, total: Tensor) -> Tensor:
        """Return what the model makes, (B, G), as normalised values; counts as log(1 + x) of as many in total, (B, 1) or ().

        Raises TrainingError where some genes of the data set take no part.
        """
        if self.input.genes is not None:
            raise TrainingError(
                "the model has the genes alone that it shares with the labelled data set"
            )
        if not self.n_counts:
            return self.input.inverse(x)
        return torch.log1p(x / x.sum(dim=1, keepdim=True).clamp_min(1e-8) * total)
