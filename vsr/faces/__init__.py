"""Faces in restored frames: found, followed, aligned, restored and pasted back."""
