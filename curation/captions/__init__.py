"""Words for the media: timed text, chapters, hashtags, captioners and the choice between them.

    parse_chapters(description, duration_ms)        # chapters as descriptions list them
"""

from curation.captions.chapters import Chapter, parse_chapters

__all__ = ["Chapter", "parse_chapters"]
