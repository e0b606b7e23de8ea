"""Robots: how they are built, commanded and seen from; every one by its registry name."""
