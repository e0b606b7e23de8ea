"""Measurements of whole recipes on the machine at hand, always two sides in turns within one run."""
