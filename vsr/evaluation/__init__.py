"""Scoring a network on footage with ground truth: ``vsr eval``.

``data_sets``, ``data_set_clips`` and ``clips`` find pairs of ground truth and input on this disk;
``inference`` restores a clip, in ``ensembles`` if asked; ``scoring`` measures its frames while
the next ones are restored. ``jobs`` does so for all clips, ``workers`` on several processes or a
Ray cluster. ``results`` are values, JSON and files; ``table`` and ``report`` show them.
"""
