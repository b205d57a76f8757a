"""The algebra of bounds: intervals, linear forms on windows, planes, and the margin for rounding. Knows no network."""

from verification.engine.relaxation.cone import Cone
from verification.engine.relaxation.enclosure import Enclosure
from verification.engine.relaxation.form import Form
from verification.engine.relaxation.interval import Interval
from verification.engine.relaxation.planes import Planes
from verification.engine.relaxation.rounding import Rounding

__all__ = ["Cone", "Enclosure", "Form", "Interval", "Planes", "Rounding"]
