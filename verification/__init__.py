"""FlowVerify: bounds on how far the optical flow of a clip can change before a video classifier does."""

__version__ = "0.1.0"
