"""Adam by torch's fused kernel, with a state that can be saved."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam, or with decoupled weight decay AdamW; a parameter without gradient is left as it is.

    The arithmetic is that of torch.optim, whose classes import the compiler (2 s a process), of which nothing here makes use.
    Source: Kingma and Ba 2015; Loshchilov and Hutter 2019.
    """

    def __init__(self, parameters: Iterable[Tensor], weight_decay: float, decoupled: bool):
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.means = [torch.zeros_like(_contiguous(parameter)) for parameter in self.parameters]
        self.squares = [torch.zeros_like(mean) for mean in self.means]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the parameters by their gradients with a step size, and forget the gradients."""
        used = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        means, squares, steps = (
            [tensors[i] for i in used] for tensors in (self.means, self.squares, self.steps)
        )
        parameters = [_contiguous(self.parameters[i]) for i in used]
        gradients = [_contiguous(self.parameters[i].grad) for i in used]
        constants = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
        options = {
            "fused": True,
            "decoupled_weight_decay": self.decoupled,
            "weight_decay": self.weight_decay,
            "lr": rate,
        }
        adam(parameters, gradients, means, squares, [], steps, **constants, **options)
        for i in used:
            self.parameters[i].grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state by name."""
        kinds = {"means": self.means, "squares": self.squares, "steps": self.steps}
        return {
            f"{kind}.{i}": tensor
            for kind, tensors in kinds.items()
            for i, tensor in enumerate(tensors)
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def _contiguous(tensor: Tensor) -> Tensor:
    """Return a tensor as it lies in memory; of a transposed one the kernel would make a copy, slower than its own work."""
    return tensor if tensor.is_contiguous() else tensor.t()
