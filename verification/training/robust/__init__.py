"""Losses that make a classifier more robust to changes of the optical flow. A new one is a file and a line here."""

from verification.training.robust.flow import FlowLoss
from verification.training.robust.interval import IntervalLoss
from verification.training.robust.linear import LinearLoss
from verification.training.robust.loss import RobustLoss

ROBUST: dict[str, type[RobustLoss]] = {loss.name: loss for loss in (FlowLoss, IntervalLoss, LinearLoss)}

__all__ = ["ROBUST", "RobustLoss"]
