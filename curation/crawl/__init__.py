"""Spark-free readers: crawl archives and tables to candidate rows."""

from curation.crawl.inputs import InputFile, expand_inputs
from curation.crawl.log import ReadLog, Rejection
from curation.crawl.tables import table_batches
from curation.crawl.wat import read_wat, wat_batches

__all__ = ["InputFile", "ReadLog", "Rejection", "expand_inputs", "read_wat", "table_batches", "wat_batches"]
