"""What the restorers are made of: waiting frames, state, tiles, guard, memory; one module each."""
