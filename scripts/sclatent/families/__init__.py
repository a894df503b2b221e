"""Hyper-parameters of the model families, one file per family; nothing here imports torch."""
