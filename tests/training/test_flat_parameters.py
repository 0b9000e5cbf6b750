"""All parameters of a network are one vector, and the network does not notice."""

import torch

from inkdigits.training.flat_parameters import as_one_vector, as_vector, by_parameter
from inkdigits.training.models import LeNet


def test_one_vector_holds_all_weights_and_gradients() -> None:
    network = LeNet().to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights, kept = as_one_vector(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network(torch.rand(2, 1, 28, 28)).square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.untyped_storage().data_ptr() == kept.untyped_storage().data_ptr()
    with torch.no_grad():
        weights.zero_()
    assert all(not tensor.any() for tensor in network.state_dict().values())


def test_a_vector_comes_back_from_the_order_of_the_parameters() -> None:
    network = LeNet().to(memory_format=torch.channels_last)
    weights, _ = as_one_vector(network)
    values = by_parameter(network, weights.detach())

    in_order = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    assert torch.equal(values, in_order)
    assert torch.equal(as_vector(network, values), weights)
