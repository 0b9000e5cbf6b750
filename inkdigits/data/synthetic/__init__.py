"""Digits that are made: other people's handwriting, whole pages of it, and corrupted digits."""
