"""What all other rooms share: errors, types of digits, files, arrays and signals."""
