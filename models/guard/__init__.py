"""Artefact guard: regions that a vivid network has invented, and what to show instead."""
