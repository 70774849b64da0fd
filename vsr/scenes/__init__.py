"""Scenes: finding cuts in a stream, and marking where scenes start."""
