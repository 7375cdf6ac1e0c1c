"""The fields of a `Run`: how one is declared, and which values it takes.

A field carries its line of help and its rule, so the command line, the checks and the tables of
results read them from one place.
"""

import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

MOST = 2**31  # whole numbers are 32 bits wide on the device
SMALLEST = 2.0**-126  # above 0, for a float32 on the device


def positive(value: float) -> bool:
    return value > 0


def not_negative(value: float) -> bool:
    return value >= 0


def fraction(value: float) -> bool:
    return 0 <= value < 1


def field(default: Any, help: str, check=None, rule: str = "", traced=False, of="") -> Any:
    """A field of `Run`: its default, a line of help with the unit, and the rule of its values.

    traced: whether training takes it as a number, so that runs which differ in it share a program.
    of: the method that alone reads it, as 'optimizer=sam', or several, as 'field=this|that'.
    """
    metadata = {"help": help, "check": check, "rule": rule, "traced": traced, "of": of}
    return dataclasses.field(default=default, metadata=metadata)


def number(default: Any, help: str, **more: Any) -> Any:
    return field(default, help, positive, "must be above 0", **more)


def amount(default: Any, help: str, **more: Any) -> Any:
    return field(default, help, not_negative, "must not be negative", **more)


def share(default: Any, help: str, **more: Any) -> Any:
    return field(default, help, fraction, "must lie in [0, 1)", **more)


def converted(spec: dataclasses.Field, value: Any) -> Any:
    """`value` in the type of its field, where that loses nothing: a whole float becomes an int."""
    if getattr(value, "ndim", None) == 0:  # a number of NumPy or JAX
        value = value.item()
    kinds = kinds_of(spec)
    if float in kinds and type(value) is int:
        return float(value)
    if int in kinds and type(value) is float and value.is_integer():
        return int(value)
    if spec.name == "snapshots" and type(value) is int:
        return str(value)
    return value


def kinds_of(spec: dataclasses.Field) -> tuple[type, ...]:
    """The types that a field's values may have; none where it lists the values themselves."""
    if get_origin(spec.type) is Literal:
        return ()
    return get_args(spec.type) or (spec.type,)


def fault(spec: dataclasses.Field, value: Any) -> str | None:
    """What is wrong with a value of a field, as the rest of a sentence, or None."""
    kinds = kinds_of(spec)
    if not kinds:
        known = get_args(spec.type)
        return None if value in known else f"is none of {', '.join(known)}"
    if type(value) not in kinds:
        return f"must be {' or '.join(k.__name__ for k in kinds if k is not type(None))}"
    if type(value) is int and value >= MOST:
        return f"must be below {MOST}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be finite"
    if isinstance(value, str) and value.encode(errors="ignore").decode() != value:
        return "is no text in this locale: set LC_ALL=C.UTF-8"
    check = spec.metadata["check"]
    if check and not check(value):
        return spec.metadata["rule"]
    return fault_in_float32(value, check) if isinstance(value, float) else None


def fault_in_float32(value: float, check: Callable[[Any], bool] | None) -> str | None:
    """What is wrong with the number that a device makes of a value, or None."""
    rounded = in_float32(value)
    vanished = rounded == 0 and value != 0
    if math.isfinite(rounded) and not vanished and (check is None or check(rounded)):
        return None
    if rounded:
        nearest = "a smaller one"
    elif check is None or check(0.0):
        nearest = f"0, or at least {SMALLEST:.2g}"
    else:
        nearest = f"at least {SMALLEST:.2g}"
    return f"is {rounded:g} in float32, in which training computes: choose {nearest}"


def in_float32(value: float) -> float:
    """The number that a device computes with: float32, and 0 below its smallest normal number."""
    try:
        rounded = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded if abs(rounded) >= SMALLEST else 0.0
