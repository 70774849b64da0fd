"""Default limits of what a source may demand."""

MAX_PIXELS = 4096 * 2160
"""4K, the wider one: a source whose frames have more pixels is not restored."""
