"""Benchmarks of training: time and accuracy of recipes, against other programs."""
