"""The options by which commands that train choose a robust loss."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from verification.engine.errors import TrainingError
from verification.training.robust import ROBUST, RobustLoss


def add_robust_arguments(parser: ArgumentParser) -> None:
    """Add what `read_robust` reads."""
    parser.add_argument("--robust", choices=list(ROBUST), help="train against changes of the flow as well")
    parser.add_argument(
        "--radius", type=float, metavar="D", help="of these changes, pixels: L-infinity for interval, else L2"
    )
    parser.add_argument("--share", type=float, metavar="X", help="weight of the robust loss (default 0.5)")


def read_robust(options: Mapping[str, Any]) -> RobustLoss | None:
    """The loss that the options choose, if any. Raises TrainingError where they do not go together."""
    if options["robust"] is None:
        given = [name for name in ("radius", "share") if options[name] is not None]
        if given:
            raise TrainingError(f"--{given[0]} belongs to robust training; say with --robust which kind")
        return None
    if options["radius"] is None:
        raise TrainingError("robust training needs --radius, in pixels of flow")
    share = {} if options["share"] is None else {"share": options["share"]}
    return ROBUST[options["robust"]](options["radius"], **share)
