"""Generated pages come in, a trained page network goes out: where writing is and whose ink is whose."""
