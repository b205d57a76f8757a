"""Small made data sets: a folder of videos for each class, named as UCF101 names its clips."""

from pathlib import Path

import cv2
import numpy as np

from tests.factories import moving_pictures

#: What the pictures of a class are tinted with, BGR.
TINTS = {"Red": (0.2, 0.2, 1.0), "Blue": (1.0, 0.2, 0.2), "Green": (0.2, 1.0, 0.2)}


def make_collection(
    folder: Path, *, classes: tuple[str, ...] = ("Blue", "Red"), groups: int = 4, clips: int = 2, frames: int = 8
) -> Path:
    """`clips` videos of each of `groups` groups of each class: a moving texture in the colour of the class, 24x32 pixels."""
    for label in classes:
        for group in range(1, groups + 1):
            for clip in range(1, clips + 1):
                write_clip(folder / label / f"v_{label}_g{group:02d}_c{clip:02d}.avi", label, 10 * group + clip, frames)
    return folder


def write_clip(path: Path, label: str, seed: int = 0, frames: int = 8) -> Path:
    """One such video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (32, 24))
    for picture in moving_pictures(frames, 24, 32, seed):
        writer.write((picture * np.array(TINTS[label])).astype(np.uint8))
    writer.release()
    return path
