"""Fetched media: bytes in, pictures in shards out."""
