"""Figures come in, matplotlib plots go out, all in one style."""
