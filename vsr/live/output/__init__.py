"""Encoder and sinks of a running stream."""
