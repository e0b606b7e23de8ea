"""Poses, forward and inverse kinematics in plain NumPy."""
