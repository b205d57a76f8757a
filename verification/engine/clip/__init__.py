"""From a video file to the clip that is verified."""

from verification.engine.clip.clip import Clip
from verification.engine.clip.decode import VideoInfo, probe_video, read_clip
from verification.engine.clip.sampling import SAMPLINGS, build_sampling

__all__ = ["SAMPLINGS", "Clip", "VideoInfo", "build_sampling", "probe_video", "read_clip"]
