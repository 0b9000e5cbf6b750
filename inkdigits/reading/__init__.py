"""A picture comes in, a Reading goes out. This room imports neither torch nor datasets."""
