"""Assessment: the damage in a film, scene by scene, measured on frames and read from the codec."""
