"""One module per stage; curation.pipeline lists them in order."""
