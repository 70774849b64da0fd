"""The project shown on a clip that it paints itself: ``python -m examples.demo``."""
