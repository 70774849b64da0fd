"""Checkpoints: files, key layouts, downloads, official weights."""
