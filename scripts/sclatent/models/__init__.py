"""The networks of the model families, one file per family."""
