"""What every other room is written in: errors, digits, files, arrays and signals."""
