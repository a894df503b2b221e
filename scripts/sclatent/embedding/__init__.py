"""Two- and three-dimensional maps of latents."""
