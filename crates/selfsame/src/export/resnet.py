def conv(inputs, outputs, kernel, stride):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        sizes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        for number, size in enumerate(sizes, 1):
            self.add_module(f"conv{number}", conv(*size))
            self.add_module(f"bn{number}", nn.BatchNorm2d(size[1]))
        self.last = len(sizes)
        self.downsample = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn1(self.conv1(x))
        for number in range(2, self.last + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y.relu()))
        return (y + self.downsample(x)).relu()


def network():
    """A residual network (He et al. 2016) without its classifier, with torchvision's names."""
    width, large = int(ABOUT["width"]), ABOUT["stem"] == "imagenet"
    bottleneck = ABOUT["architecture"] == "resnet50"
    stem = [("conv1", conv(3, width, 7, 2) if large else conv(3, width, 3, 1)), ("bn1", nn.BatchNorm2d(width))]
    stem += [("relu", nn.ReLU())] + [("maxpool", nn.MaxPool2d(3, 2, 1))] * large
    stages, inputs = [], width
    for stage, blocks in enumerate([2, 2, 2, 2] if ABOUT["architecture"] == "resnet18" else [3, 4, 6, 3]):
        stages.append((f"layer{stage + 1}", nn.Sequential()))
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            stages[-1][1].add_module(str(block), Block(inputs, width << stage, stride, bottleneck))
            inputs = (width << stage) * (4 if bottleneck else 1)
    return nn.Sequential(OrderedDict(stem + stages + [("avgpool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]))
