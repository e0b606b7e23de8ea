"""SPOC's and RING's public trajectory layout (HDF5 and mp4): a reader into shards, and a writer back."""
