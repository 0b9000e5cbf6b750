"""Benchmarks of reading: speed against other runtimes, and what reading promises."""
