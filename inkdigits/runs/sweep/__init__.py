"""A search over the keys of a recipe: a space comes in, trials and the best recipe go out."""
