"""``python -m vsr``."""

from vsr.entry import main

if __name__ == "__main__":
    main()
