"""From raw web crawls to balanced image-text and video-text training sets."""

__version__ = "0.1.0"
