"""Experts over generated houses into shards of recorded episodes."""
