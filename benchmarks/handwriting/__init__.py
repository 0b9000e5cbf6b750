"""Benchmarks of handwriting: how well pictures with several digits are read."""
