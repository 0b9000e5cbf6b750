"""The name or path of a dataset comes in, splits of labelled 28x28 digits go out."""
