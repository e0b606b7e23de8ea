"""Readers of the data sets that Molmo2 was trained and measured on: their rows and the media that you have."""
