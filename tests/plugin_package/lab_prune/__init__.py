"""A pruner and a head from outside the zoo."""
