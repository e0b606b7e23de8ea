"""Procedural houses: floor plan, openings, furniture, small objects and appearance, drawn from a seed."""
