"""Arrays that slice by rows: those of Zarr and HDF5, which their libraries read, and memory maps."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from lossd.bulk.errors import UnusableFile
from lossd.bulk.members import chosen
from lossd.message import Array


class Indexed:
    """Whatever slices like an array: a Zarr array, an HDF5 data set, a memory map."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)

    def read(self, first: int, out: Array) -> None:
        """Read rows."""
        if hasattr(self.array, "read_direct"):  # HDF5, without an array in between
            self.array.read_direct(out, np.s_[first : first + len(out)])
        else:
            out[...] = self.array[first : first + len(out)]


def open_zarr(path: str, member: str) -> Indexed:
    """Open an array of a Zarr store, or the store that is one."""
    opened = _library("zarr", path).open(path, mode="r")
    if not hasattr(opened, "shape"):
        return Indexed(_chosen(opened, member, path))
    if member:
        raise UnusableFile(path, "no name, since the file holds one array", member)
    return Indexed(opened)


def open_hdf5(path: str, member: str) -> Indexed:
    """Open a data set of an HDF5 file."""
    return Indexed(_chosen(_library("h5py", path).File(path, "r"), member, path))


def _chosen(group: Any, member: str, path: str) -> Any:
    """Return an array of a group: the one that is named, or the only one."""
    if not member or member not in group:
        member = chosen(
            [name for name in sorted(group) if hasattr(group[name], "shape")], member, path, "arrays"
        )
    if not hasattr(group[member], "shape"):
        raise UnusableFile(path, "the name of an array", f"{member}, which is a group")
    return group[member]


def _library(name: str, path: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UnusableFile(path, f"{name}, which reads it: pip install {name}", "none") from None
