"""Readers: from a file, address or images to chunks of RGB frames."""
