"""The source of a running stream: connection, decoder, reconnection."""
