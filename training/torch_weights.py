"""Reads a PyTorch state dict of the old format (before 1.6) as numpy arrays, without PyTorch.

The file is a row of pickles: magic, protocol, system, the dict with references to storages, the storages' keys; then
the raw storages, each behind its length (torch/serialization.py, `_legacy_save`). Nothing of the pickles may
run: names other than the few below are refused.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from device.arrays import Array
from device.errors import DataError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Tensor(NamedTuple):
    """A tensor as it stands in the pickle: a view of a storage."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Knows a state dict's names only; remembers the storages' types."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict")

    def persistent_load(self, pid: Any) -> str:
        _, storage_type, key, *_ = pid
        self.dtypes[key] = np.dtype(_DTYPES[storage_type])
        return str(key)


def read_state_dict(path: Path) -> dict[str, Array]:
    """Name -> float32 or int64 array, in PyTorch's layouts (convolutions: out, in, height, width).

    Raises DataError.
    """
    try:
        with path.open("rb") as file:
            if pickle.load(file) != _MAGIC:
                raise DataError(f"{path}: not a PyTorch file of the old format")
            pickle.load(file)  # protocol
            pickle.load(file)  # byte order and sizes of the system that wrote it; all of ours are little-endian
            unpickler = _Unpickler(file)
            tensors = unpickler.load()
            storages = {}
            for key in pickle.load(file):
                dtype = unpickler.dtypes[key]
                count = int(np.frombuffer(file.read(8), "<i8")[0])
                storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    except (OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: cannot be read as a PyTorch state dict: {error}") from None
    return {
        name: np.lib.stride_tricks.as_strided(
            storages[tensor.storage][tensor.offset :],
            tensor.shape,
            [stride * storages[tensor.storage].itemsize for stride in tensor.strides],
        ).copy()
        for name, tensor in tensors.items()
    }
