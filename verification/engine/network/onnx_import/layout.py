"""What the shape of a model's input says of the clips that it takes."""

from dataclasses import dataclass

from verification.engine.errors import ClassifierError
from verification.engine.network.input import AxisOrder


@dataclass(frozen=True)
class Layout:
    """One reading of the axes; None for what the file leaves open."""

    order: AxisOrder
    frames: int | None
    height: int | None
    width: int | None


def layouts(axes: tuple[int | None, ...]) -> list[Layout]:
    """All readings that fit the axes of a model's input, the likeliest first.

    An axis of three is that of the channels. Raises ClassifierError if none fits.
    """
    fitting = []
    for order in AxisOrder:
        if len(order.value) != len(axes):
            continue
        named = dict(zip(order.value, axes, strict=True))
        if named["c"] in (3, None) and named.get("n", 1) in (1, None):
            fitting.append(Layout(order, named["t"], named["h"], named["w"]))
    if not fitting:
        shown = ", ".join("?" if size is None else str(size) for size in axes)
        raise ClassifierError(
            f"the model's input has the shape [{shown}]; a clip has the axes {', '.join(AxisOrder)} (n = 1, t frames, c = 3 "
            "channels): export the model for one clip of three channels"
        )
    return sorted(fitting, key=lambda layout: not _says_channels(layout, axes))


def _says_channels(layout: Layout, axes: tuple[int | None, ...]) -> bool:
    """Whether the axis of the channels is known to be three."""
    return axes[layout.order.value.index("c")] == 3
