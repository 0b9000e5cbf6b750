"""Digits made by programs: simulated handwriting, whole pages of it, and corrupted digits."""
