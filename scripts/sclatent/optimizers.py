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
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the parameters by their gradients with a step size, and forget the gradients."""
        used = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        gradients = [self.parameters[i].grad for i in used]
        state = [[tensors[i] for i in used] for tensors in (self.parameters, self.means, self.squares, self.steps)]
        parameters, means, squares, steps = state
        constants = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
        options = {"fused": True, "decoupled_weight_decay": self.decoupled, "weight_decay": self.weight_decay, "lr": rate}
        adam(parameters, gradients, means, squares, [], steps, **constants, **options)
        for parameter in parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state by name."""
        kinds = {"means": self.means, "squares": self.squares, "steps": self.steps}
        return {f"{kind}.{i}": tensor for kind, tensors in kinds.items() for i, tensor in enumerate(tensors)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])  # in place, since the kernel needs it laid out in memory as the parameter is
