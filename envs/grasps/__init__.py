"""Grasps of a parallel gripper: sampled on geometry, verified in simulation, stored in files, chosen in scenes."""
