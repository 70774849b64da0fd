"""Windows of frames at the ends of a scene."""

from __future__ import annotations


def window_indices(
    centre: int, size: int, extent: tuple[int | None, int], axes: tuple[int, int]
) -> list[int]:
    """The frames of a window; those outside the scene come from the window's other side.

    A frame that is d before the first is replaced by the one radius + d behind the left axis, and
    one d behind the last by the one radius + d before the right axis. Both axes at the centre
    reflect about the window's own circle (EDVR): the neighbours of frame 0 of 5 are 4, 3, 0, 1, 2.

    Args:
        centre: The frame in the middle.
        size: Frames of a window, odd.
        extent: First and last frame of the scene; the first is None where it is too far to matter.
        axes: Left and right.

    Returns:
        ``size`` indices. Where the scene is shorter than a window, the nearest frame stands in.
    """
    first, last = extent
    radius = size // 2
    seen = []
    for i in range(centre - radius, centre + radius + 1):
        j = i
        if first is not None and i < first:
            j = axes[0] + radius + (first - i)
        elif i > last:
            j = axes[1] - radius - (i - last)
        j = min(j, last)
        seen.append(j if first is None else max(j, first))
    return seen
