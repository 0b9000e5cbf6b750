"""Measurements and trials of the package: how fast, how accurate, how reliable."""
