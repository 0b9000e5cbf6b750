"""Benchmarks of scale: many digits on a cluster, and time by number of digits."""
