"""What there is to tell apart. A file of its own, so that reading need not load what is known of datasets."""

DIGITS = tuple("0123456789")
CLASSES = len(DIGITS)
