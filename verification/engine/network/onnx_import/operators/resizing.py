"""Resizing by whole or broken factors: nearest elements, and linear interpolation as torch knows it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_ROUNDINGS: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
}


@operator("Upsample")
def upsample(call: Call) -> Function:
    scales = [float(scale) for scale in call.constant(1).reshape(-1).tolist()]
    sizes = [math.floor(size * scale) for size, scale in zip(call.shape(), scales, strict=True)]
    return _resized(call, sizes, scales, "asymmetric", "floor", exact=False)


@operator("Resize")
def resize(call: Call) -> Function:
    """Version 10 has the factors as second input, later ones as third, or sizes as fourth."""
    shape = call.shape()
    if (
        call.attributes.get("axes") is not None
        or call.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        call.refuse("resizes some axes only, or keeps an aspect ratio", "give the sizes of all axes")
    position = 1 if call.version < 11 else 2
    if call.has(3):
        sizes = list(call.whole_numbers(3))
        scales = [size / before for size, before in zip(sizes, shape, strict=True)]
    else:
        scales = [float(scale) for scale in call.constant(position).reshape(-1).tolist()]
        sizes = [math.floor(size * scale) for size, scale in zip(shape, scales, strict=True)]
    older = call.version < 11
    mode = "asymmetric" if older else call.attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = call.attributes.get("nearest_mode", "floor" if older else "round_prefer_floor")
    return _resized(call, sizes, scales, mode, rounding, exact=call.has(3))


def _resized(call: Call, sizes: list[int], scales: list[float], mode: str, rounding: str, exact: bool) -> Function:
    """`exact`: the sizes were given and the scales follow from them; otherwise the scales count, though sizes are rounded."""
    shape, kind = call.shape(), call.attributes.get("mode", "nearest")
    if min(sizes) < 1 or len(sizes) != len(shape):
        call.refuse(f"resizes {list(shape)} to {sizes}", "export the model for clips of one size")
    if kind == "nearest":
        indices = [
            _nearest(call, n, size, scale, mode, rounding) for n, size, scale in zip(shape, sizes, scales, strict=True)
        ]

        def nearest(x: Tensor, *_: Tensor) -> Tensor:
            for axis, index in enumerate(indices):
                if index != list(range(x.shape[axis])):
                    x = x.index_select(axis, torch.tensor(index, device=x.device))
            return x

        return nearest
    rank = len(shape) - 2
    if kind != "linear" or rank not in _LINEAR or list(shape[:2]) != sizes[:2]:
        call.refuse(
            f"resizes by {kind} interpolation over {len(shape)} axes", "use nearest or linear interpolation of pictures"
        )
    if mode not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        call.refuse(f"has coordinate_transformation_mode = {mode!r}", "use half_pixel or align_corners")
    if call.attributes.get("antialias", 0):
        call.refuse_option("antialias")
    corners = mode == "align_corners"
    if exact or corners:
        return lambda x, *_: functional.interpolate(x, sizes[2:], mode=_LINEAR[rank], align_corners=corners)
    return lambda x, *_: functional.interpolate(
        x, scale_factor=scales[2:], mode=_LINEAR[rank], align_corners=False, recompute_scale_factor=False
    )


def _nearest(call: Call, before: int, size: int, scale: float, mode: str, rounding: str) -> list[int]:
    """Which element of an axis each element of the resized one is."""
    places: dict[str, Callable[[int], float]] = {
        "asymmetric": lambda i: i / scale,
        "half_pixel": lambda i: (i + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda i: (i + 0.5) / scale - 0.5 if size > 1 else 0.0,
        "align_corners": lambda i: i * (before - 1) / (size - 1) if size > 1 else 0.0,
    }
    if mode not in places or rounding not in _ROUNDINGS:
        call.refuse(f"has the modes {mode!r} and {rounding!r}", "use half_pixel or asymmetric, and a usual rounding")
    return [min(max(_ROUNDINGS[rounding](places[mode](i)), 0), before - 1) for i in range(size)]
