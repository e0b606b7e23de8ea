"""Episodes of the ten tasks of CHORES."""
