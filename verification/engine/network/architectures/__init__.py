"""Named architectures: how to build the network whose weights a file holds. A new one is a file and a line here."""

from verification.engine.network.architectures.base import Architecture
from verification.engine.network.architectures.c3d import C3d
from verification.engine.network.architectures.camera_motion import CameraMotion
from verification.engine.network.architectures.cnn_gru import CnnGru
from verification.engine.network.architectures.cnn_lstm import CnnLstm
from verification.engine.network.architectures.convlstm import ConvLstm
from verification.engine.network.architectures.lrcn import Lrcn
from verification.engine.network.architectures.vgg16_lstm import Vgg16Lstm

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (C3d(), CameraMotion(), CnnGru(), CnnLstm(), ConvLstm(), Lrcn(), Vgg16Lstm())
}

__all__ = ["ARCHITECTURES", "Architecture"]
