"""Resuming an interrupted run: journal, checkpoints and what makes them compatible."""

SEGMENT_FRAMES = 250
"""Frames of a segment, and of the longest run that is written without segments. x264 and x265
insert a key frame after as many at the latest, so that segments add hardly any."""
