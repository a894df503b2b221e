"""Cells drawn from models and their scores."""
