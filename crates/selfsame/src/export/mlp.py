class Perceptron(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes[1:])

    def forward(self, x):
        x = x.permute(0, 2, 3, 1).flatten(1)
        for layer, norm in zip(self.layers, self.norms):
            x = norm(layer(x)).relu()
        return x


def network():
    """A perceptron of two hidden layers on flattened pixels, row by row."""
    width, size = int(ABOUT["width"]), int(ABOUT["image_size"])
    return Perceptron([3 * size * size, width, width])
