"""All parameters of a network as one vector, so that an optimiser's step, a sum over processes or an average is one operation.

For a small network these are more calls than arithmetic. Knows nothing of training.
"""

import torch
from torch import Tensor, nn


def as_one_vector(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay the network's parameters out behind one another in one vector and their gradients in a second; return both.

    The network computes as before. An optimiser's step, for a small network more calls than arithmetic, becomes one operation.
    The gradients add up until they are set to zero; setting them to None would cut the tie.
    """
    parameters = list(network.parameters())
    weights = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    weights.grad = torch.zeros_like(weights)
    begin = 0
    for parameter in parameters:
        layout = (
            parameter.shape,
            parameter.stride(),
            begin,
        )  # strides too: a convolution's weights may lie channels last
        parameter.data = weights.detach().as_strided(*layout).copy_(parameter.detach())
        parameter.grad = weights.grad.as_strided(*layout)
        begin += parameter.numel()
    return weights, weights.grad


def views(network: nn.Module, vector: Tensor) -> list[Tensor]:
    """Of a vector that is laid out as the network's, a tensor for each parameter."""
    return [
        vector.as_strided(each.shape, each.stride(), each.storage_offset())
        for each in network.parameters()
    ]


def by_parameter(network: nn.Module, vector: Tensor) -> Tensor:
    """A vector that is laid out as the network's, with its values in the parameters' own order, the same on every device."""
    return torch.cat([view.flatten() for view in views(network, vector)])


def as_vector(network: nn.Module, values: Tensor) -> Tensor:
    """What `by_parameter` was given."""
    vector = torch.empty_like(values)
    parts = views(network, vector)
    for view, part in zip(parts, values.split([view.numel() for view in parts]), strict=True):
        view.copy_(part.view_as(view))
    return vector
