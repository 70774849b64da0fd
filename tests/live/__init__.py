"""Running streams, with real servers, publishers and players."""
