"""Measurements: ratios between runs of the same session, never tests."""
