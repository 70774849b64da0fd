"""Training: clips, degradation, batches, the loop and its configuration."""
