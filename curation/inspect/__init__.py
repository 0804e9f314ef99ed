"""Looking at runs: reading what stages published, never writing into a work folder."""
