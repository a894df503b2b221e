"""Prediction of treated cells and its scores."""
