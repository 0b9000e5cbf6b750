"""A picture comes in, candidates for digits come out, each also as a 28x28 field like MNIST's."""
