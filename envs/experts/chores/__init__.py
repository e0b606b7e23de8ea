"""Experts of the ten tasks of CHORES, which act by the twenty actions of SPOC."""
