"""Resuming an interrupted run: journal, checkpoints and what makes them compatible."""

SEGMENT_FRAMES = 250
"""Most frames of a run that is not kept in segments, and of a segment: x264 and x265 begin anew
with a key frame after as many, so that segments of no more have hardly more of them."""
