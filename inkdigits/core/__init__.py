"""Words that all other rooms are written in: errors, digits, files, arrays, signals. It knows no dataset and no network."""
