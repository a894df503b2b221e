"""Clusters of cells and their scores."""
