"""Names of sources and targets: locations, formats, image sequences, trims."""
