"""The real-time networks of this project."""
