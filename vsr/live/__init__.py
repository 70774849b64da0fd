"""Live streams: sources and sinks that may disconnect, with a network in between."""
