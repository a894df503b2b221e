"""From source files to preprocessed data sets."""
