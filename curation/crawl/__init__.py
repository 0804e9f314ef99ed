"""Spark-free readers: crawl archives and tables to candidate rows."""

from curation.crawl.archive import Reading
from curation.crawl.inputs import InputFile, expand_inputs
from curation.crawl.log import ReadLog, Rejection
from curation.crawl.reading import read_warc, read_wat
from curation.crawl.tables import table_batches
from curation.crawl.warc import warc_batches
from curation.crawl.wat import wat_batches

__all__ = [
    "InputFile",
    "ReadLog",
    "Reading",
    "Rejection",
    "expand_inputs",
    "read_warc",
    "read_wat",
    "table_batches",
    "warc_batches",
    "wat_batches",
]
