"""``vsr web``: a page that shows films, previews them, and restores them one after the other.

The server never loads torch: previews, estimates and restorations are processes of their own, the
same ``vsr restore`` that people type.
"""
