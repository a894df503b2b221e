"""Neural building blocks that the model families share."""

from torch import nn


def hidden_layers(n_in: int, widths: list[int], linear_first: bool = False) -> nn.Sequential:
    """Fully connected layers of the given widths with ReLU after each; `linear_first` leaves out the first ReLU.

    Weights have PyTorch's default initialisation. Input (B, n_in), output (B, widths[-1]), or the input where there are none.
    """
    layers: list[nn.Module] = []
    for i, (width_in, width) in enumerate(zip([n_in, *widths], widths, strict=False)):
        layers.append(nn.Linear(width_in, width))
        if not (linear_first and i == 0):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def mlp(n_in: int, widths: list[int], n_out: int, linear_first: bool = False) -> nn.Sequential:
    """`hidden_layers` followed by a linear layer. Input (B, n_in), output (B, n_out)."""
    return nn.Sequential(*hidden_layers(n_in, widths, linear_first), nn.Linear([n_in, *widths][-1], n_out))
