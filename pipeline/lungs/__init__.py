"""Trains the lung network: `python -m pipeline.lungs`."""
