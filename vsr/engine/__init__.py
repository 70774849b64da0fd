"""The engine: window, recurrent state, tiles, divergence guard and memory plan of one stream."""
