"""A recipe and digits come in, a trained network goes out. This room knows no files but recipes."""
