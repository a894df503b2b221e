"""Adam by torch's fused kernel, with a state that can be saved."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # the defaults of both papers and of torch.optim


class Adam:
    """Adam, or AdamW with its decoupled weight decay.

    This class is kept beside `torch.optim.Adam` because the classes of torch.optim import torch's
    compiler, which nothing here uses and which takes 2 s per process. The arithmetic is the same:
    both call one function of torch. A parameter without a gradient does not change.

    Parameters
    ----------
    parameters
        The parameters to change; those that need no gradient are left out.
    weight_decay
        Weight decay.
    decoupled
        Whether the weight decay is that of AdamW.

    Source
    ------
    Kingma and Ba 2015; Loshchilov and Hutter 2019.
    """

    def __init__(self, parameters: Iterable[Tensor], weight_decay: float, decoupled: bool):
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.means = [torch.zeros_like(_contiguous(parameter)) for parameter in self.parameters]
        self.squares = [torch.zeros_like(mean) for mean in self.means]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the parameters by their gradients, then delete the gradients.

        Parameters
        ----------
        rate
            Step size, the learning rate of this step.
        """
        parameters, gradients, means, squares, steps = [], [], [], [], []
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            parameters.append(_contiguous(parameter))
            gradients.append(_contiguous(parameter.grad))
            means.append(self.means[i])
            squares.append(self.squares[i])
            steps.append(self.steps[i])
        adam(
            parameters,
            gradients,
            means,
            squares,
            [],  # no AMSGrad
            steps,
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            maximize=False,
            beta1=BETA1,
            beta2=BETA2,
            eps=EPSILON,
            lr=rate,
            weight_decay=self.weight_decay,
        )
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state by name, for `restore`."""
        kinds = {"means": self.means, "squares": self.squares, "steps": self.steps}
        return {
            f"{kind}.{i}": tensor
            for kind, tensors in kinds.items()
            for i, tensor in enumerate(tensors)
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Set the state to one that `state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def _contiguous(tensor: Tensor) -> Tensor:
    """Return a matrix in the order in which it lies in memory.

    The kernel would copy a transposed matrix, which takes longer than the kernel's own work.
    """
    return tensor if tensor.is_contiguous() else tensor.t()
