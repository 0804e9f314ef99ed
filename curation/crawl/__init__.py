"""Spark-free readers: crawl archives and tables to candidate rows."""

from curation.crawl.log import ReadLog, Rejection
from curation.crawl.wat import read_wat, wat_batches

__all__ = ["ReadLog", "Rejection", "read_wat", "wat_batches"]
