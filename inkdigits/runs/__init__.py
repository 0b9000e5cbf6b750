"""All that knows the folder of a run: training into it, resuming, exporting, comparing, sweeping."""
