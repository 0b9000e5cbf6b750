"""Predictions and labels come in; figures, plots and a report go out."""
