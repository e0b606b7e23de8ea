"""Where an agent can go: occupancy maps, routes, a walker with SPOC's actions, success tests and metrics."""
