"""ResNets (He et al. 2016) without the last stage, from torchvision's blocks and with its names, so that its weights fit."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from ..errors import InputError

DEPTHS = {18: (BasicBlock, (2, 2, 2)), 50: (Bottleneck, (3, 4, 6)), 101: (Bottleneck, (3, 4, 23))}


class ResNet(nn.Module):
    """Feature maps at strides 4, 8 and 16; with bias=True each convolution has one, as in STCN's value encoder."""

    def __init__(self, depth: int = 50, inputs: int = 3, bias: bool = False):
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"there is no ResNet-{depth} here: choose one of {', '.join(map(str, DEPTHS))}")
        block, counts = DEPTHS[depth]
        self.conv1 = nn.Conv2d(inputs, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = stage(block, 64, 64, counts[0], stride=1)
        self.layer2 = stage(block, 64 * block.expansion, 128, counts[1], stride=2)
        self.layer3 = stage(block, 128 * block.expansion, 256, counts[2], stride=2)
        self.channels = [width * block.expansion for width in (64, 128, 256)]  # of f4, f8, f16
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                if bias:
                    conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))

    def forward(
        self, x: Float[Tensor, "b inputs H W"]
    ) -> tuple[Float[Tensor, "b c4 h4 w4"], Float[Tensor, "b c8 h8 w8"], Float[Tensor, "b c16 h16 w16"]]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        f4 = self.layer1(x)
        f8 = self.layer2(f4)
        return f4, f8, self.layer3(f8)


def stage(block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    """`count` residual blocks, the first of which changes resolution and channels."""
    outputs = width * block.expansion
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(block(inputs, width, stride, shortcut), *(block(outputs, width) for _ in range(count - 1)))
