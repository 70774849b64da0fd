"""``vsr web``: a page that shows films, previews them, and restores them one after the other.

The server never loads torch: previews, estimates and restorations are processes of their own, the
same ``vsr restore`` that people type.
"""

from importlib.util import find_spec

from vsr.errors import MissingDependency

for _needed in ("starlette", "uvicorn"):
    if find_spec(_needed) is None:
        raise MissingDependency(
            f"`vsr web` needs {_needed}; install it by pip install 'vsr-stream[web]'"
        )
