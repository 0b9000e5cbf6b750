"""All parameters of a network as one vector.

A network comes in; a vector of its weights and one of their gradients go out, which share memory
with it. An optimiser's step and a running average are then one operation each: with a small
network, separate tensors take more calls than arithmetic.
"""

import torch
from torch import Tensor, nn


def as_one_vector(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay out a network's parameters one after another in one vector, and their gradients in
    another.

    The network computes as before. The gradients add up until they are set to zero; setting them to
    None would cut the tie.

    Args:
        network: changed in place: its parameters become views of the vector.

    Returns:
        The weights (P,) and their gradients (P,).
    """
    parameters = list(network.parameters())
    flat = [parameter.detach().flatten() for parameter in parameters]
    weights = nn.Parameter(torch.cat(flat))
    gradients = torch.zeros_like(weights)
    weights.grad = gradients

    begin = 0
    for parameter in parameters:
        # Strides too: a convolution's weights may be channels last.
        layout = (parameter.shape, parameter.stride(), begin)
        parameter.data = weights.detach().as_strided(*layout).copy_(parameter.detach())
        parameter.grad = gradients.as_strided(*layout)
        begin += parameter.numel()

    return weights, gradients


def views(network: nn.Module, vector: Tensor) -> list[Tensor]:
    """Return a view for each parameter of a vector that is laid out as the network's."""
    return [
        vector.as_strided(parameter.shape, parameter.stride(), parameter.storage_offset())
        for parameter in network.parameters()
    ]


def by_parameter(network: nn.Module, vector: Tensor) -> Tensor:
    """Arrange a vector that is laid out as the network's in the parameters' own order.

    That order is the same on every device and in every memory format.
    """
    return torch.cat([view.flatten() for view in views(network, vector)])


def as_vector(network: nn.Module, values: Tensor) -> Tensor:
    """Lay values out as the network's vector, undoing `by_parameter`."""
    vector = torch.empty_like(values)
    parts = views(network, vector)
    sizes = [part.numel() for part in parts]
    for part, value in zip(parts, values.split(sizes), strict=True):
        part.copy_(value.view_as(part))

    return vector
