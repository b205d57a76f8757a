"""Named architectures: how to build the network whose weights a file holds. A new one is a file and a line here."""

from verification.engine.network.architectures.base import Architecture
from verification.engine.network.architectures.camera_motion import CameraMotion
from verification.engine.network.architectures.cnn_lstm import CnnLstm
from verification.engine.network.architectures.lrcn import Lrcn
from verification.engine.network.architectures.vgg16_lstm import Vgg16Lstm

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture for architecture in (CameraMotion(), CnnLstm(), Lrcn(), Vgg16Lstm())
}

__all__ = ["ARCHITECTURES", "Architecture"]
