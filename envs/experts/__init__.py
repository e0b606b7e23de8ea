"""Experts: scripted policies that see the whole state of the simulation."""
