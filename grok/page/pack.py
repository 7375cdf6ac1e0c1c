"""Blocks of data inside the page: a JSON header and arrays, deflated, in base64.

The bytes before deflating: the header's length as uint32, the header in UTF-8, and the arrays, each
at a multiple of 8 from the end of the header. static/unpack.js reads them.
"""

import base64
import json
import struct
import zlib

import numpy as np

ALIGN = 8
# Names that JavaScript has typed arrays for, little-endian as on all machines that run a browser.
KINDS = ("int8", "uint8", "int16", "int32", "float32", "float64")


def pack(facts: dict, arrays: dict[str, np.ndarray]) -> str:
    """Facts, JSON values, and named arrays as one block of text."""
    places, parts, offset = {}, [], 0
    for name, array in arrays.items():
        if array.dtype.name not in KINDS:
            raise TypeError(f"the page has no arrays of {array.dtype}: {name}")
        raw = np.ascontiguousarray(array).tobytes()
        places[name] = {"kind": array.dtype.name, "shape": array.shape, "offset": offset}
        padding = -len(raw) % ALIGN
        parts.append(raw + bytes(padding))
        offset += len(raw) + padding
    header = dumps({"facts": facts, "arrays": places}).encode()
    header += b" " * (-(len(header) + 4) % ALIGN)
    return deflated(struct.pack("<I", len(header)) + header + b"".join(parts))


def deflated(raw: bytes) -> str:
    """Bytes, deflated (zlib's format), in base64."""
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def dumps(value) -> str:
    """JSON without spaces; NaN and infinities, which it has not, become null."""
    return json.dumps(portable(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def portable(value):
    """A value as JSON can hold it: NumPy's numbers are plain ones, what is not finite is None."""
    if isinstance(value, dict):
        return {str(key): portable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def quantised(array: np.ndarray) -> tuple[np.ndarray, float]:
    """An array as int16 and the factor that gives it back, to 1 part in 32,767 of its largest."""
    largest = float(np.abs(array).max(initial=0)) or 1.0
    return np.rint(array / largest * 32767).astype(np.int16), largest / 32767


def upper_triangle(symmetric: np.ndarray) -> np.ndarray:
    """What lies above the diagonal of symmetric matrices [..., n, n] in [-1, 1], int8 [..., m]."""
    rows, columns = np.triu_indices(symmetric.shape[-1], 1)
    return np.rint(127 * symmetric[..., rows, columns]).astype(np.int8)
