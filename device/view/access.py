"""Who may look: loopback or a token, and a Host header that no foreign web page can bring about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ipaddress

COOKIE = "garmentcam_view"


def is_loopback(host: str) -> bool:
    """True where only programs of this machine can connect: localhost, 127.x.x.x, ::1."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_own_host(host_header: str, configured: str) -> bool:
    """True when a Host header names this machine: an address, localhost, its own name, or view.host.

    A foreign page can make its own name resolve to this machine (DNS rebinding) and would then be of our origin. The
    browser still sends that name; an address it sends only where a person or a link asked for it.
    """
    import socket

    name = _without_port(host_header).lower().rstrip(".")
    own = socket.gethostname().lower()
    return _address(name) is not None or name in ("localhost", own, f"{own}.local", configured.lower())


def token_matches(given: str, token: str) -> bool:
    """Compare in constant time."""
    import hmac

    return hmac.compare_digest(given.encode(), token.encode())


def cookie_for(token: str) -> str:
    """What the browser keeps in place of the token: it outlives a restart, and does not give the token away."""
    import hashlib
    import hmac

    return hmac.new(token.encode(), b"garmentcam live view", hashlib.sha256).hexdigest()


def own_address() -> str:
    """The address at which other machines reach this one, or its name where there is no network."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing; the kernel picks the interface. (RFC 5737 address)
        except OSError:
            return f"{socket.gethostname()}.local"
        return str(probe.getsockname()[0])


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    import ipaddress

    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _without_port(host_header: str) -> str:
    """`[::1]:80` -> `::1`, `name:80` -> `name`."""
    if host_header.startswith("["):
        return host_header[1:].split("]")[0]
    return host_header.split(":")[0]
