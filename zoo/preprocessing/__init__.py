"""What happens to pictures and texts before a model sees them: crops, pixels, marks round frames, prompts."""
