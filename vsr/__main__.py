"""``python -m vsr``."""

from vsr.entry import main

main()
