"""Parts of neural networks: layers, likelihoods, divergences, the optimiser."""
