"""The audio of a running stream: timestamps, copying and transcoding."""
