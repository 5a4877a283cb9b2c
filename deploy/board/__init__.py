"""Runs on the board, inside the release that it belongs to: standard library only, Python 3.8 or newer."""
