"""Small networks that together contain every operation that can be bounded."""

import torch
from torch import Tensor, nn
from torch.nn import functional

LENGTH, HEIGHT, WIDTH = 4, 9, 10


class Headed(nn.Module):
    """(1, l, 3, h, w) through `features` and a linear head to three logits."""

    def with_head(self) -> "Headed":
        with torch.no_grad():
            size = self.features(torch.rand(1, LENGTH, 3, HEIGHT, WIDTH)).numel()
        self.head = nn.Linear(size, 3)
        return self

    def features(self, clip: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.features(clip).reshape(1, -1))


class Activations(Headed):
    """A channel for every function of one variable."""

    limit: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(
            [
                nn.GELU(),
                nn.GELU(approximate="tanh"),
                nn.SiLU(),
                nn.Hardswish(),
                nn.Hardsigmoid(),
                nn.ReLU6(),
                nn.Hardtanh(-0.3, 0.4),
                nn.PReLU(init=0.3),
                nn.PReLU(init=-0.4),
                nn.LeakyReLU(1.5),
                nn.ELU(0.7),
                nn.SELU(),
                nn.CELU(1.5),
                nn.Softplus(2.0, 1.0),
                nn.LogSigmoid(),
                nn.Softplus(),
            ]
        )
        self.conv = nn.Conv2d(3, len(self.modules_) + 9, 5, stride=4)
        self.per_channel = nn.PReLU(2)
        self.register_buffer("limit", torch.tensor([-0.25, 0.5]))

    def features(self, clip: Tensor) -> Tensor:
        *plain, a, b, c, d, e, f, g, h, i = self.conv(clip.flatten(0, 1)).split(1, 1)
        done = [module(x) for module, x in zip(self.modules_, plain, strict=True)]
        limited = torch.minimum(torch.maximum(d, -self.limit), self.limit + 0.5)
        rest = [
            a.exp(),
            b.abs(),
            c.pow(2),
            c**3,
            limited,
            e * e,
            f * torch.sigmoid(f),
            g.clamp(min=-0.2),
            h.clamp(max=0.1),
        ]
        return torch.cat(
            [*done, *rest, self.per_channel(torch.cat([h, i], 1)), torch.maximum(g, i), torch.minimum(a, b)], 1
        )


class Transposed(Headed):
    """Transposed convolutions over one, two and three axes, with every option."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 2, (2, 5, 5), stride=(1, 3, 3))
        self.over_all = nn.ConvTranspose3d(2, 2, 2, stride=(1, 2, 3), padding=(0, 1, 0), output_padding=(0, 1, 1))
        self.over_frame = nn.ConvTranspose2d(
            2, 4, (3, 2), stride=2, dilation=(1, 2), groups=2, output_padding=1, bias=False
        )
        self.over_line = nn.ConvTranspose1d(4, 2, 2, stride=3, padding=1)

    def features(self, clip: Tensor) -> Tensor:
        x = torch.relu(self.over_all(torch.relu(self.stem(clip.transpose(1, 2)))))
        x = torch.relu(self.over_frame(x[:, :, 1, :3, 2:5]))
        return torch.relu(self.over_line(x.mean(2)))


class Borders(Headed):
    """Convolutions with every kind of padding, a border of another value, and a negative one."""

    def __init__(self) -> None:
        super().__init__()
        self.replicate = nn.Conv2d(3, 2, 3, stride=2, padding=2, padding_mode="replicate")
        self.reflect = nn.Conv2d(2, 2, 3, stride=2, padding=2, padding_mode="reflect")
        self.circular = nn.Conv3d(2, 2, 2, padding=1, padding_mode="circular")
        self.same = nn.Conv2d(2, 2, 2, padding="same")

    def features(self, clip: Tensor) -> Tensor:
        x = torch.relu(self.reflect(torch.relu(self.replicate(clip[0]))))
        x = torch.relu(self.circular(x.transpose(0, 1)[None])[0].transpose(0, 1))
        return torch.relu(self.same(functional.pad(x, (-1, 1, 0, -1), value=0.7)))


class Pooling(Headed):
    """Pooling with ceil_mode, dilation and uncounted padding; adaptive and global pooling; maxima along axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 2)
        self.parts = nn.ModuleList(
            [
                nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
                nn.MaxPool2d(2, stride=3, dilation=(3, 2), ceil_mode=True),
                nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
                nn.AvgPool2d((3, 2), stride=(3, 4), ceil_mode=True),
                nn.AvgPool2d(2, padding=1, divisor_override=3),
                nn.AdaptiveAvgPool2d((3, 4)),
                nn.AdaptiveMaxPool2d((3, 4)),
                nn.AdaptiveMaxPool2d(1),
            ]
        )

    def features(self, clip: Tensor) -> Tensor:
        x = self.conv(clip[0])
        pooled = [part(x) for part in self.parts]
        pooled += [x.amax((2, 3)), x.amin(1), x.max(0).values, x.mean((2, 3)).max(), x.flatten(2).min(-1).values]
        return torch.cat([torch.relu(part).flatten() for part in pooled])


class PoolingOfLines(Headed):
    """The same over one axis and over three."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 2)
        self.volumes = nn.ModuleList(
            [
                nn.MaxPool3d(2, ceil_mode=True),
                nn.AvgPool3d(2, padding=1, count_include_pad=False),
                nn.AdaptiveAvgPool3d((2, 3, 2)),
                nn.AdaptiveMaxPool3d((2, 3, 2)),
            ]
        )
        self.lines = nn.ModuleList(
            [
                nn.MaxPool1d(3, 2, ceil_mode=True),
                nn.AvgPool1d(3, 2),
                nn.AdaptiveAvgPool1d(4),
                nn.AdaptiveMaxPool1d(4),
            ]
        )

    def features(self, clip: Tensor) -> Tensor:
        x = self.conv(clip.transpose(1, 2))
        pooled = [part(x) for part in self.volumes] + [
            part(x.mean((3, 4))[..., [0, 1, 2, 1, 0]]) for part in self.lines
        ]
        return torch.cat([torch.relu(part).flatten() for part in pooled])


class Rearranged(Headed):
    """Selections, repetitions and joins of every kind, with constants too."""

    chosen: Tensor
    fixed: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.register_buffer("chosen", torch.tensor([3, 0, 0, -1]))
        self.register_buffer("fixed", torch.rand(4, 2, 4, 4))
        self.dropout = nn.Dropout(0.5)

    def features(self, clip: Tensor) -> Tensor:
        x = self.dropout(self.conv(clip[0].flip(0, 3).roll((1, -2), (2, 3))))
        x = torch.relu(torch.cat([x, self.fixed], 1))
        a, b, c = x[self.chosen].chunk(3, 1)
        d = torch.stack([a.repeat(1, 2, 1, 2)[..., ::3], (b - c).unbind(0)[1].expand(4, 4, 2, 4, 4).sum(2)[..., :3]], 1)
        e = functional.pixel_shuffle(x[:, :4], 2).index_select(2, self.chosen[:3])
        f = x[:, :, [0, 1, 3], [2, 2, 0]] * torch.where(
            self.fixed[:, :1, 0, :3] > 0.5, x[:, :1, 0, 1:], self.fixed[:, :1, 0, :3]
        )
        g = torch.zeros_like(a)  # a temporal shift
        g[:-1, :1], g[:, 1], g[::2, :, 2] = a[1:, :1], b[:, 0], 0.25
        return torch.cat([torch.relu(part - 0.1).flatten() for part in (d, e, f, g)])


class Matrices(Headed):
    """Products with constant matrices on either side, batched and not."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.rand(3, 2) - 0.5)
        self.left = nn.Parameter(torch.rand(2, 4) - 0.5)
        self.batched = nn.Parameter(torch.rand(2, 9, 3) - 0.5)
        self.offset = nn.Parameter(torch.rand(2, 10, 3))

    def features(self, clip: Tensor) -> Tensor:
        x = torch.relu(torch.einsum("tchw,cd->tdhw", clip[0], self.mixing))
        x = torch.einsum("st,tdhw->dshw", self.left, x)[:, 0]  # (2, 9, 10)
        y = torch.baddbmm(self.offset, x.transpose(1, 2), self.batched)
        z = self.batched.transpose(1, 2) @ x
        return torch.cat(
            [torch.relu(y).flatten(), torch.relu(z).flatten(), (self.left @ torch.relu(y[0, :4])).flatten()]
        )


class Resized(Headed):
    """Larger and smaller pictures, windows of a tensor, cumulative sums, thresholds that jump."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, stride=2)
        self.parts = nn.ModuleList(
            [
                nn.Upsample(scale_factor=(1.5, 0.7)),
                nn.Upsample(size=(3, 7), mode="bilinear"),
                nn.Upsample(scale_factor=1.7, mode="bilinear", align_corners=True),
                nn.Threshold(0.1, -0.3),
                nn.RReLU(),
            ]
        )

    def features(self, clip: Tensor) -> Tensor:
        x = self.conv(clip[0])
        parts = [part(x) for part in self.parts]
        parts += [x.cumsum(-1), x.cumsum(0), x.unfold(2, 2, 1), x.expm1()]
        return torch.cat([torch.relu(part).flatten() for part in parts])


class Cells(Headed):
    """LSTM and GRU cells unrolled by hand, after a convolutional LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(3 + 1, 4, 3, stride=1, padding=1)
        self.lstm, self.gru = nn.LSTMCell(12, 2), nn.GRUCell(2, 2)

    def features(self, clip: Tensor) -> Tensor:
        frames = functional.avg_pool2d(clip[0], 3)[:2]
        state = memory = frames.new_zeros(1, 1, 3, 3)
        short, hidden = None, frames.new_zeros(1, 2)
        for frame in frames:
            i, f, o, g = self.gates(torch.cat([frame[None], state], 1)).chunk(4, 1)
            memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
            state = torch.sigmoid(o) * torch.tanh(memory)
            short = self.lstm(torch.cat([state.flatten(1), frame.mean((1, 2))[None]], 1), short)
            hidden = self.gru(short[0], hidden)
        return hidden


class Pooled(nn.Module):
    """Convolution, ReLU, max-pooling and an LSTM over the frames, for clips (1, 3, 3, 6, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.lstm = nn.LSTM(4 * 3 * 4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, clips: Tensor) -> Tensor:
        features = self.pool(self.convolution(clips.flatten(0, 1)).relu()).flatten(1)
        states, _ = self.lstm(features.view(clips.shape[0], clips.shape[1], -1))
        logits: Tensor = self.head(states[:, -1])
        return logits
