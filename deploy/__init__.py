"""Runs on the workstation: puts a release on a board. What it puts there is plain files and one unit."""
