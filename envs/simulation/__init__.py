"""A compiled scene with a robot in it: what tasks ask of it, and the Gymnasium environment around it."""
