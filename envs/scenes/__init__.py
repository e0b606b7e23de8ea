"""Houses: their typed description, its MuJoCo model, checks, maps, and the formats of others."""
