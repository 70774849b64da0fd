"""Encoding in segments that are joined into one file."""
