"""ResNets (He et al. 2016) without the last stage, from torchvision's blocks and with its names, so that its weights fit."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from ..errors import InputError

DEPTHS = {10: (BasicBlock, (1, 1, 1)), 18: (BasicBlock, (2, 2, 2)), 50: (Bottleneck, (3, 4, 6)), 101: (Bottleneck, (3, 4, 23))}


class ResNet(nn.Module):
    """Feature maps at strides 4, 8 and 16, or 2, 4 and 8 without the max pooling.

    bias: each convolution has one, as in STCN's value encoder. widths: channels of the three stages (a Bottleneck's are 4 times
    as many).
    """

    def __init__(
        self,
        depth: int = 50,
        inputs: int = 3,
        bias: bool = False,
        widths: tuple[int, int, int] = (64, 128, 256),
        pool: bool = True,
    ):
        super().__init__()
        self.depth, self.pool = depth, pool
        if depth not in DEPTHS:
            raise InputError(f"there is no ResNet-{depth} here: choose one of {', '.join(map(str, DEPTHS))}")
        block, counts = DEPTHS[depth]
        first, second, third = widths
        self.conv1 = nn.Conv2d(inputs, first, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = stage(block, first, first, counts[0], stride=1)
        self.layer2 = stage(block, first * block.expansion, second, counts[1], stride=2)
        self.layer3 = stage(block, second * block.expansion, third, counts[2], stride=2)
        self.channels = [width * block.expansion for width in widths]
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                if bias:
                    conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))

    def forward(
        self, x: Float[Tensor, "b inputs H W"]
    ) -> tuple[Float[Tensor, "b c1 h1 w1"], Float[Tensor, "b c2 h2 w2"], Float[Tensor, "b c3 h3 w3"]]:
        x = F.relu(self.bn1(self.conv1(x)))
        if self.pool:
            x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        fine = self.layer1(x)
        middle = self.layer2(fine)
        return fine, middle, self.layer3(middle)


def stage(block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    """`count` residual blocks, the first of which changes resolution and channels."""
    outputs = width * block.expansion
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(block(inputs, width, stride, shortcut), *(block(outputs, width) for _ in range(count - 1)))
