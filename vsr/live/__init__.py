"""Running streams: a source that may go away, a network, sinks that may go away."""
