"""Scenes: finding cuts in a stream, and marking where scenes start."""

AUTO, OFF = "auto", "off"
"""Words for finding cuts, and for taking all frames as one scene."""
