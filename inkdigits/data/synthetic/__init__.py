"""Digits made by programs.

`handwriting` imitates other people's digits and `corruptions` damages digits, both as images of
28x28 pixels. `training_pages` draws whole pages to learn from, `pages` others to test with.
"""
