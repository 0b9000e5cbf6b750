"""A picture comes in, a Reading goes out. This room never imports torch and knows no datasets."""
