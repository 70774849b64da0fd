"""The published networks, and interpolation to compare with."""
