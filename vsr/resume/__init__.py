"""Resuming an interrupted run: journal, checkpoints and what makes them compatible."""
