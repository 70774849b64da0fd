"""Figures of running streams: page, metrics, status line."""
