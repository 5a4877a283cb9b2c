"""`python -m device` on a simulated Raspberry Pi: python tests/simulated_pi.py run --source csi://0 ...

SIGUSR1 pulls the camera's cable, SIGUSR2 puts it back.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import fakepi
from device.cli import main

if __name__ == "__main__":
    sim = fakepi.install()
    signal.signal(signal.SIGUSR1, lambda *ignored: sim.unplug())
    signal.signal(signal.SIGUSR2, lambda *ignored: sim.plug())
    sys.exit(main())
