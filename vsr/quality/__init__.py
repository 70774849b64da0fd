"""Picture quality: metrics, degradations and pictures side by side."""
