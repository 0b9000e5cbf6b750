"""Everything around the folder of a run: training, resuming, exporting, comparing, sweeping."""
