"""Results of measurements come in, matplotlib figures go out, all in one style."""
