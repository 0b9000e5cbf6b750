"""A recipe and digits come in, a trained network goes out. `runs/` saves it in a folder."""
