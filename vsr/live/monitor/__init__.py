"""Monitoring of live streams: page, metrics and status line."""
