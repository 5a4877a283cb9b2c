"""How fast and small the board's program is, against what people would use instead: `make bench`, on a workstation.

Every figure comes from one run on one machine, and those that are compared are taken in turns, frame by frame where
they can share a process: what else the machine does then slows both. `python -m device bench` is the one for a board.
"""
