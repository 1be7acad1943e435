"""How far PyTorch's own bf16 turns the gradient of one step: its cosine to that of f32, at initial weights.

ResNet-18 of lightly with a 3x3 stem, two views of each image, NT-Xent at 0.5; the views are noise (as in
crates/nn/tests/conv_bn.rs) or, with --data, those of SimCLR of images in class folders.
"""
import argparse, json
import torch, torchvision
from torch import nn
from lightly.loss import NTXentLoss
from lightly.models import ResNetGenerator
from lightly.transforms import SimCLRTransform


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--data")
    p.add_argument("--batch", type=int, default=64, help="images; twice as many views")
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--head", action="store_true", help="with SimCLR's projection head")
    a = p.parse_args()
    torch.manual_seed(1)
    layers = list(ResNetGenerator("resnet-18", width=a.width / 64).children())[:-1]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if a.head:
        layers += [nn.Linear(8 * a.width, 8 * a.width), nn.ReLU(), nn.Linear(8 * a.width, 128)]
    net = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    if a.data:
        views = SimCLRTransform(input_size=32, cj_strength=0.5, gaussian_blur=0.0)
        images = torchvision.datasets.ImageFolder(a.data, transform=views)
        x = torch.cat(list(next(iter(torch.utils.data.DataLoader(images, a.batch, shuffle=True)))[0]))
    else:
        base = torch.randn(a.batch, 3, 32, 32)
        x = torch.cat([base + 0.3 * torch.randn_like(base) for _ in range(2)])
    x = x.contiguous(memory_format=torch.channels_last)
    criterion = NTXentLoss(0.5)

    def gradient(short: bool) -> torch.Tensor:
        net.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=short):
            z = net(x)
        z = z.float()
        criterion(z[: a.batch], z[a.batch:]).backward()
        return torch.cat([p.grad.flatten().double() for p in net.parameters()])

    cosine = nn.functional.cosine_similarity(gradient(False), gradient(True), dim=0).item()
    print(json.dumps({"work": "cosine", "peer": f"torch {torch.__version__}", "width": a.width, "views": 2 * a.batch,
                      "data": bool(a.data), "head": a.head, "cosine": cosine}))


main()
