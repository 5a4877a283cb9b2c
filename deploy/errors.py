"""What goes wrong between a workstation and its boards."""

from device.errors import GarmentcamError


class DeployError(GarmentcamError):
    """A board cannot be reached, prepared or asked; the message names the board where one is meant."""
