"""What convolutions and pools say of padding: `pads` at both ends of every axis, or `auto_pad`."""

from collections.abc import Sequence
from dataclasses import dataclass

from verification.engine.network.onnx_import.call import Call


@dataclass(frozen=True)
class Windows:
    """How windows of `kernel` elements lie on the spatial axes: `begin` and `end` elements are added to every axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]

    @property
    def even(self) -> bool:
        """Whether both ends of every axis get the same."""
        return self.begin == self.end

    @property
    def for_pad(self) -> list[int]:
        """As `functional.pad` takes it: the last axis first."""
        return [size for ends in reversed(list(zip(self.begin, self.end, strict=True))) for size in ends]


def windows(call: Call, kernel: Sequence[int]) -> Windows:
    """The windows of a node over the spatial axes of its first input."""
    rank = len(kernel)
    strides, dilations = call.numbers("strides", [1] * rank), call.numbers("dilations", [1] * rank)
    pads = call.numbers("pads", [0] * 2 * rank)
    sizes = call.shape()[2:]
    if not len(sizes) == len(strides) == len(dilations) == len(pads) / 2 == rank:
        call.refuse(f"does not fit its input of {len(sizes)} spatial axes", "export the model again")
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        call.refuse("has a size or stride below one, or a negative padding", "export the model again")
    begin, end = pads[:rank], pads[rank:]
    mode = call.attributes.get("auto_pad", "NOTSET")
    if mode == "VALID":
        begin = end = (0,) * rank
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        spans = zip(sizes, kernel, strides, dilations, strict=True)
        total = [
            max((-(-size // step) - 1) * step + (length - 1) * gap + 1 - size, 0) for size, length, step, gap in spans
        ]
        smaller, larger = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
        begin, end = (smaller, larger) if mode == "SAME_UPPER" else (larger, smaller)
    elif mode != "NOTSET":
        call.refuse_option("auto_pad")
    return Windows(tuple(kernel), strides, dilations, begin, end)
