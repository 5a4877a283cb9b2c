"""The systemd unit that runs a release on a board: its own user, and nothing that it does not need."""

from __future__ import annotations

from deploy.config import DeployConfig
from device.config import Config
from device.view.access import is_loopback

SECURITY_LIMIT = 2.0
"""The most that `systemd-analyze security` may say of the unit: 0 is closed, 10 is wide open."""

_LEAST_START_S = 120
_UNIT = """\
# Made by `make deploy`, a part of its release: edit config.yaml and deploy again.
[Unit]
Description=garmentcam: says what garment the camera sees
After=local-fs.target systemd-udevd.service systemd-modules-load.service
# A camera may come back at any time, so it is tried for ever, slowly.
StartLimitIntervalSec=0

[Service]
# Ready, and alive, is what answers frames: a camera, a model or a disk that hangs starves the watchdog.
Type=notify
TimeoutStartSec={start_s}
WatchdogSec=60
ExecStart=/opt/garmentcam/current/venv/bin/python -m device run --config config.yaml --model model/model.tflite \
--log /var/lib/garmentcam/logs
WorkingDirectory=/opt/garmentcam/current
SyslogIdentifier=garmentcam
# No progress bar in the journal.
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TQDM_DISABLE=1
Restart=always
RestartSec=2
TimeoutStopSec=20
LimitCORE=0

User=garmentcam
SupplementaryGroups=video
StateDirectory=garmentcam
UMask=0022
MemoryMax={memory_mb}M
MemorySwapMax=0
CPUQuota={cpu_percent}%
TasksMax=64
OOMScoreAdjust=500

# Cameras: video4linux and media devices, the memory that libcamera shares with them, the firmware's throttling.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
DeviceAllow=/dev/vcio rw

{network}
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateUsers=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

# AF_NETLINK is how libcamera learns of devices.
_NO_NETWORK = """\
# No network at all.
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX AF_NETLINK
"""

_LOCAL_NETWORK = """\
# The live view, for this board only: `make view` reaches it through ssh.
IPAddressDeny=any
IPAddressAllow=localhost
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
"""

_NETWORK = """\
# A network camera, or a live view that others may open.
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
"""

ACTIVATION_UNIT = """\
# Made by `make deploy`: proves the release that `pending` names, or goes back. At boot, after a power cut, too.
[Unit]
Description=garmentcam: activate a release
ConditionPathExists=/opt/garmentcam/pending
After=garmentcam.service

[Service]
Type=oneshot
ExecStart=@PYTHON@ -B -m deploy.board activate
WorkingDirectory=/opt/garmentcam/pending
TimeoutStartSec=infinity
SyslogIdentifier=garmentcam-activate

[Install]
WantedBy=multi-user.target
"""


def service_unit(config: Config, deploy: DeployConfig) -> str:
    """The unit of a release, opened to the network only as far as its camera and its live view need."""
    # A slow board is given the time in which it may prove itself, and not ended in the midst of it.
    start_s = round(max(_LEAST_START_S, deploy.health_s))
    return _UNIT.format(
        start_s=start_s, memory_mb=deploy.memory_mb, cpu_percent=deploy.cpu_percent, network=_network(config)
    )


def _network(config: Config) -> str:
    scheme, separator, _ = config.camera.source.partition("://")
    if separator and scheme not in ("synthetic", "csi"):
        return _NETWORK
    if not config.view.enabled:
        return _NO_NETWORK
    return _LOCAL_NETWORK if is_loopback(config.view.host) else _NETWORK
