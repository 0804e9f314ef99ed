"""Measurements: ratios between runs of one command, never tests."""
