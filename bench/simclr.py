"""SimCLR training with lightly on PyTorch: views per second, end to end.

Reads an image folder (--data, class folders of images) or, without one, random images. Needs torch, torchvision and
lightly; run it by itself or by `selfsame bench train --against-torch`.
The encoder is lightly's ResNet-18 with the 3x3 stem; two views an image; NT-Xent at 0.5.
"""
import argparse, json, statistics, time
import torch, torchvision
from torch import nn
from lightly.loss import NTXentLoss
from lightly.models import ResNetGenerator
from lightly.transforms import SimCLRTransform


def encoder(width: int) -> nn.Module:
    net = ResNetGenerator("resnet-18", width=width / 64)
    dim = 8 * width
    return nn.Sequential(*list(net.children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 128))


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--data")
    p.add_argument("--batch", type=int, default=64, help="images a step; twice as many views")
    p.add_argument("--steps", type=int, default=8)
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--workers", type=int, default=0)
    a = p.parse_args()
    torch.manual_seed(0)
    net = encoder(a.width).to(memory_format=torch.channels_last)
    opt = torch.optim.SGD(net.parameters(), 0.06, momentum=0.9, weight_decay=5e-4)
    criterion = NTXentLoss(0.5)
    forward = torch.compile(net) if a.compile else net
    if a.data:
        tf = SimCLRTransform(input_size=32, cj_strength=0.5, gaussian_blur=0.0)
        ds = torchvision.datasets.ImageFolder(a.data, transform=tf)
        batches = iter(torch.utils.data.DataLoader(ds, a.batch, shuffle=True, drop_last=True, num_workers=a.workers))
        draw = lambda: next(batches)[0]
    else:
        draw = lambda: (torch.rand(a.batch, 3, 32, 32), torch.rand(a.batch, 3, 32, 32))
    seconds = []
    for _ in range(a.steps + 2):
        start = time.perf_counter()
        x = torch.cat(list(draw())).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
            z = forward(x)
        z = z.float()
        loss = criterion(z[: a.batch], z[a.batch:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        seconds.append(time.perf_counter() - start)
    med = statistics.median(seconds[2:])
    print(json.dumps({"work": "simclr", "peer": f"torch {torch.__version__}", "precision": a.precision,
                      "compile": a.compile, "width": a.width, "views": 2 * a.batch, "loader": bool(a.data),
                      "seconds_per_step": med, "views_per_second": 2 * a.batch / med}))


main()
