"""Readers: other people's files as shards of ours. Nothing here imports torch."""
