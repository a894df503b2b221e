"""Training of models, and what is computed with trained ones."""
