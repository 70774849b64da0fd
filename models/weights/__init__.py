"""Weights that come with the package; see the cards beside them."""
