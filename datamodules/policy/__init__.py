"""Recorded policy episodes, from shards to batches of windows."""
