"""A run of the page reader: a recipe comes in, a folder with its two networks goes out."""
