"""From a video to the clip that is verified."""

from verification.engine.clip.clip import Clip
from verification.engine.clip.decode import probe_video, read_clip, sampled_frames
from verification.engine.clip.part import Part
from verification.engine.clip.sampling import SAMPLINGS, build_sampling
from verification.engine.clip.sources import VIDEO_SUFFIXES, VideoInfo, file_sha256

__all__ = [
    "SAMPLINGS",
    "VIDEO_SUFFIXES",
    "Clip",
    "Part",
    "VideoInfo",
    "build_sampling",
    "file_sha256",
    "probe_video",
    "read_clip",
    "sampled_frames",
]
