"""Restoring files: decode, restore and encode side by side, from job to summary."""
