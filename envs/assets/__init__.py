"""Objects that scenes are furnished with: what is known of each, how it is built, and where it comes from."""
