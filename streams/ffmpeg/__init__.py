"""The ffmpeg process and its log."""
