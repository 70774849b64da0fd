"""Colour: YUV to RGB and back, tags, HDR metadata, pixel formats."""
