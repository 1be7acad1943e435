"""Embedding of 32x32 images by lightly's ResNet-18 on PyTorch: images per second."""
import argparse, json, statistics, time
import torch
from torch import nn
from lightly.models import ResNetGenerator

p = argparse.ArgumentParser()
p.add_argument("--images", type=int, default=10000)
p.add_argument("--batch", type=int, default=256)
p.add_argument("--width", type=int, default=64)
p.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
p.add_argument("--compile", action="store_true")
p.add_argument("--rounds", type=int, default=3)
a = p.parse_args()
net = ResNetGenerator("resnet-18", width=a.width / 64)
net = nn.Sequential(*list(net.children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
net = net.to(memory_format=torch.channels_last)
x = torch.rand(a.images, 3, 32, 32).contiguous(memory_format=torch.channels_last)
f = torch.compile(net) if a.compile else net
rates = []
with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
    for _ in range(a.rounds + 1):
        start = time.perf_counter()
        for i in range(0, a.images, a.batch):
            f(x[i:i + a.batch])
        rates.append(a.images / (time.perf_counter() - start))
print(json.dumps({"work": "embed", "peer": f"torch {torch.__version__}", "precision": a.precision, "compile": a.compile,
                  "width": a.width, "images": a.images, "images_per_second": statistics.median(rates[1:])}))
