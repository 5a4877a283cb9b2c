"""Image files in and out, with errors that name the file."""

from pathlib import Path
from typing import List

import cv2
import numpy as np

from device.arrays import Array
from device.errors import CameraError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


def read_image(path: Path) -> Array:
    """uint8, shape (height, width, 3), B,G,R; turned upright where the file says how. Raises CameraError."""
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise CameraError(f"{path}: {error.strerror}; expected an image file") from None
    try:
        pixels = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise CameraError(f"{path}: not an image that can be decoded ({raw.size} bytes); expected JPEG, PNG, ...")
    return pixels


def write_image(path: Path, pixels: Array) -> None:
    """Write uint8 BGR or gray pixels; the suffix says the format. Raises CameraError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), pixels)
    except (OSError, cv2.error) as error:
        raise CameraError(f"{path}: cannot be written ({error})") from None
    if not written:
        raise CameraError(f"{path}: cannot be written; name a writable folder and a .png file")


def images_in(folder: Path) -> List[Path]:
    """The image files directly in `folder`, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
