"""Reading what is written after the name of a distortion: `size=8x8,at=12x20`."""

import math
import re

from verification.engine.errors import SpecificationError

_SHOWN = 40  # characters of what was written, in messages


def read_arguments(name: str, argument: str, known: dict[str, str]) -> dict[str, str]:
    """The values by key; `known`: an example of a value for each key. Raises SpecificationError."""
    values: dict[str, str] = {}
    for part in argument.split(",") if argument else []:
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not known:
            raise SpecificationError(f"the distortion {name!r} is written without more: {name}")
        if not equals or key not in known:
            examples = ",".join(f"{key}={value}" for key, value in known.items())
            raise SpecificationError(
                f"the distortion {name!r} is written as in {name}:{examples}, each of them at will; not "
                f"{part.strip()[:_SHOWN]!r}"
            )
        if key in values:
            raise SpecificationError(f"{key!r} of the distortion {name!r} is said twice")
        values[key] = text
    return values


def read_pair(name: str, key: str, text: str, what: str) -> tuple[float, float]:
    """Two numbers `RxC`; `what` they are, for the message."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)x(\d{1,6}(?:\.\d{1,6})?)", text)
    if match is None:
        raise SpecificationError(f"{key!r} of the distortion {name!r} must be {what}, not {text[:_SHOWN]!r}")
    return float(match[1]), float(match[2])


def read_share(name: str, key: str, text: str, words: dict[str, float]) -> float:
    """A number from 0 to 1, or one of `words`."""
    if text in words:
        return words[text]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise SpecificationError(
            f"{key!r} of the distortion {name!r} must be {', '.join(words)} or a number from 0 to 1, not {text[:_SHOWN]!r}"
        )
    return value


def read_frames(name: str, text: str, length: int) -> tuple[int, ...]:
    """Frames numbered from 1, such as `3/5/8-10`."""
    frames: set[int] = set()
    for part in text.split("/"):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= length:
            raise SpecificationError(
                f"the frames of the distortion {name!r} are written as in frames=1/3/5-7, from 1 to {length}; not "
                f"{part.strip()[:_SHOWN]!r}"
            )
        frames |= set(range(first, last + 1))
    return tuple(sorted(frames))
