"""A model together with its input: from the values of a data set to latents, and back."""

from torch import Tensor, nn

from sclatent.inputs import Input
from sclatent.models import hyperparameters_class, load_family
from sclatent.models.base import Latents


class Trained(nn.Module):
    """What a run saves.

    family, hyperparameters: of the model. input: what it is given. n_counts: number G of genes whose counts it explains, None
    where it explains the values it is given. conditions: names of the C conditions that it sees, empty for none.
    """

    def __init__(self, family: str, hyperparameters: dict, input: Input, n_counts: int | None, conditions: list[str]):
        super().__init__()
        checked = hyperparameters_class(family).model_validate(hyperparameters)
        self.input, self.n_counts = input, n_counts
        self.model = load_family(family)(input.n_features, n_counts or input.n_features, len(conditions), checked)

    def encode(self, values: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the latents of cells from their normalised values (B, D) and conditions (B, C) one-hot."""
        return self.model.encode(self.input(values), condition)

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return values (B, G) of the genes that take part, or counts where the model explains counts, of latents z (B, L)."""
        x = self.model.decode(z, condition, sample)
        return x if self.n_counts else self.input.inverse(x)
