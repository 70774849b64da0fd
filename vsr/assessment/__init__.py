"""Assessment: what ails a film, scene by scene, measured on the frames and read from the codec."""
