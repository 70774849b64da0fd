"""``python -m vsr``."""

from vsr.cli.startup import main

if __name__ == "__main__":
    main()
