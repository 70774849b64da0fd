"""Scores of a network on footage with ground truth: what ``vsr eval`` does, as a package.

``data_sets``, ``data_set_clips`` and ``clips`` find pairs of ground truth and input on this disk;
``restoring`` takes a clip through a network, in ``passes``; ``scoring`` measures its frames while
the next ones are restored. ``jobs`` does so for all clips, ``workers`` on several processes or a
Ray cluster. ``results`` are values, JSON and files; ``table`` and ``report`` show them.
"""
