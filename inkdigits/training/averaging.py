"""The exponential moving average of a network's weights.

A vector of weights that training moves comes in; its average takes its place after every pass.
"""

from torch import Tensor


class RunningAverage:
    """The average of the weights over the last steps, newer ones counting more.

    Args:
        weights: (P,) all weights of the network, changed in place by the optimiser and by `swap`.
        decay: the share of the average that one step keeps, 0 to 1: 0.999 looks back about a
            thousand steps.
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self.weights = weights.detach()
        self.decay = decay
        self.values = self.weights.clone()
        self.in_network = False  # whether `swap` has put the average into the network

    def update(self, done: int) -> None:
        """Move the average towards the weights.

        The average keeps less of itself at first, or the fresh weights would stay in it.
        TensorFlow's ExponentialMovingAverage does the same with `num_updates`.

        Args:
            done: how many steps went before this one.
        """
        kept = min(self.decay, (1 + done) / (10 + done))
        self.values.lerp_(self.weights, 1 - kept)

    def swap(self) -> None:
        """Exchange the average and the weights in the network."""
        moving = self.weights.clone()
        self.weights.copy_(self.values)
        self.values.copy_(moving)
        self.in_network = not self.in_network
