"""Strength by region: how strongly each part of a frame is restored."""
