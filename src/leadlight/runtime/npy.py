"""NumPy's .npy format, the part that bundles use, read without evaluating anything.

`numpy.load` evaluates the header as a Python literal and allocates what it announces. Here a header either matches a
pattern and announces exactly the bytes that follow, or it is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError

DTYPES: Final = ("<f8", "<i4", "|u1", "<i8", "<u4")

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_START: Final = len(_MAGIC) + 2
_ALIGNMENT: Final = 64
_HEADER: Final = re.compile(
    rb"\{'descr': '(<f8|<i4|\|u1|<i8|<u4)', 'fortran_order': False, 'shape': \((\d{1,12}),(?: (\d{1,12}))?\), \} *\n"
)


def to_npy(array: NDArray[Any]) -> bytes:
    """Return an array of one or two dimensions as a .npy file; the same array gives the same bytes everywhere.

    Raises
    ------
    ValueError
        The type or number of dimensions is not one that bundles use.
    """
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    kind = array.dtype.str
    if kind not in DTYPES or array.ndim not in (1, 2):
        raise ValueError(f"no bundle holds an array of {kind} with {array.ndim} dimensions")
    shape = f"({array.shape[0]},)" if array.ndim == 1 else f"({array.shape[0]}, {array.shape[1]})"
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    padding = -(_START + len(header) + 1) % _ALIGNMENT
    header += b" " * padding + b"\n"
    return _MAGIC + len(header).to_bytes(2, "little") + header + array.tobytes()


def from_npy(data: bytes, name: str) -> NDArray[Any]:
    """Return the array of a .npy file, read only.

    Raises
    ------
    BundleError
        It is damaged, or not one that `to_npy` writes.
    """
    size = int.from_bytes(data[len(_MAGIC) : _START], "little")
    match = _HEADER.fullmatch(data[_START : _START + size])
    if data[: len(_MAGIC)] != _MAGIC or match is None:
        raise BundleError(
            f"{name} is no array of a bundle: its header is damaged. Copy or save the bundle again."
        )
    shape = tuple(int(part) for part in match.groups()[1:] if part is not None)
    dtype = np.dtype(match[1].decode())
    rest = len(data) - _START - size
    wanted = dtype.itemsize
    for part in shape:
        wanted *= part
    if rest != wanted:
        raise BundleError(
            f"{name} holds {rest} bytes where its header announces {wanted}. Copy or save the bundle again."
        )
    return (
        np.frombuffer(data, dtype, offset=_START + size)
        .reshape(shape)
        .astype(dtype.newbyteorder("="), copy=False)
    )
