"""What every other package may use: errors, seeds and threads, shared names."""
