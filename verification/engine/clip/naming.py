"""What the name of a video file says of it, as data sets name their files."""

import re
from dataclasses import dataclass
from pathlib import PurePath

#: UCF101 (Soomro et al., 2012): v_ApplyEyeMakeup_g01_c01.avi is clip 1 of group 1.
_UCF = re.compile(r"v_(?P<name>[A-Za-z0-9]+)_g(?P<group>\d+)_c\d+")


@dataclass(frozen=True)
class VideoName:
    """`class_name`: what is seen, empty if the name does not say. `group`: of clips cut from one take; None: of its own."""

    class_name: str
    group: str | None


def named(filename: str) -> VideoName:
    """Read the name of a file; folders do not count."""
    found = _UCF.fullmatch(PurePath(filename).stem)
    return VideoName("", None) if found is None else VideoName(found["name"], f"{found['name']}_g{found['group']}")
