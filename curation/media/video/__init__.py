"""Videos: probed, seen as shots, split into clips, cut and scored. Knows nothing of stages."""
