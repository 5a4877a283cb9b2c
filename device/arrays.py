"""One name for numpy arrays. Their dtype and shape stand in each docstring."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
