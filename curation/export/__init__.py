"""Files that trainers read, from one manifest: WebDataset shards, Parquet, and the layouts of published benchmarks."""
