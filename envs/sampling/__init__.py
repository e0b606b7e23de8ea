"""Episodes drawn from houses, one sampler a task."""
