"""A picture comes in; candidates for digits go out, each also as a 28x28 image like MNIST's."""
