"""Presets: complete TOML files, one per published setting and per task."""

if __name__ != "vsr.configs":
    raise ImportError(
        f"{__name__!r} is a folder of the project, not a package: import vsr.configs instead"
    )
