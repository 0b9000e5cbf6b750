"""What happens to pixels before a network sees them.

A picture comes in, upright 8-bit pixels go out. The ink of one digit comes in, a 28x28 image like
MNIST's goes out.
"""
