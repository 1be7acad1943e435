"""Holds exported encoders against `selfsame embed`, on image files that Pillow reads.

    python bench/export.py --photos photos.tar --selfsame target/release/selfsame --folder /tmp/export

Two encoders: one of a run that is trained here for a few steps, and a ResNet-18 of torchvision with random weights and
statistics. Each is exported with PyTorch's names and as ONNX; `model.py` and onnxruntime then embed files of several
kinds, and the table says how far their embeddings are from those of `embed --precision f32`, in parts of their length:
median and maximum over the files of a kind. A kind in PNG holds what Pillow decodes from the JPEGs of the row above it,
so the difference between the two rows is that of the JPEG decoders. Needs torch, torchvision, safetensors, onnxruntime,
numpy and Pillow. Exit code 1 if ONNX is further than 1e-3 from `embed` on a lossless file.
"""

import argparse
import csv
import importlib.util
import io
import pathlib
import subprocess
import sys
import tarfile

import numpy as np
import onnxruntime
import torch
from PIL import Image, ImageOps
from torchvision.models import resnet18

FILES = 12
LARGE = 8


def photos(path, count):
    """Some photographs of a tar file, spread over all of it: bytes of JPEG files."""
    with tarfile.open(path) as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".jpg"))
        return [tar.extractfile(name).read() for name in names[:: len(names) // count][:count]]


def write(folder, files):
    """Files of every kind, each named after its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, bytes_ in enumerate(files):
        image = Image.open(io.BytesIO(bytes_)).convert("RGB")
        width, height = image.size
        large = image.resize((LARGE * width, LARGE * height - 100), Image.BICUBIC)
        odd = image.crop((3, 11, width, height - 40))
        alpha = image.copy()
        alpha.putalpha(Image.linear_gradient("L").resize(image.size))
        at = lambda kind, end: folder / f"{kind}.{number:03}.{end}"
        at("1 JPEG", "jpg").write_bytes(bytes_)
        image.save(at("2 JPEG as PNG", "png"))
        odd.save(at("3 odd sides", "png"))
        large.save(at(f"4 JPEG, {LARGE} times as large", "jpg"), quality=90)
        Image.open(at(f"4 JPEG, {LARGE} times as large", "jpg")).save(at("5 large JPEG as PNG", "png"))
        image.convert("L").save(at("6 grey JPEG", "jpg"), quality=90)
        Image.open(at("6 grey JPEG", "jpg")).save(at("7 grey JPEG as PNG", "png"))
        image.convert("CMYK").save(at("8 CMYK JPEG", "jpg"), quality=90)
        Image.open(at("8 CMYK JPEG", "jpg")).convert("RGB").save(at("9 CMYK JPEG as PNG", "png"))
        alpha.save(at("PNG with alpha", "png"))


def shaken_resnet(path):
    """torchvision's ResNet-18 with random weights, and statistics that no initialisation has."""
    torch.manual_seed(0)
    network = resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in [
                (module.weight, 0.5, 1.5), (module.bias, -0.2, 0.2),
                (module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 2.0),
            ]:
                tensor.data.uniform_(low, high)
    torch.save(network.state_dict(), path)


def by_program(path, files):
    """Embeddings by the program beside the weights."""
    spec = importlib.util.spec_from_file_location("model", path)
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    encoder = model.encoder()
    with torch.no_grad():
        return np.stack([encoder(model.preprocess(Image.open(file)))[0].numpy() for file in files])


def by_onnx(path, files):
    """Embeddings by onnxruntime, of files as Pillow decodes them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    print(dict(sorted(session.get_modelmeta().custom_metadata_map.items())))
    decoded = (np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB")) for file in files)
    return np.stack([session.run(["embeddings"], {"images": image[None]})[0][0] for image in decoded])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", required=True, help="tar file of JPEGs")
    parser.add_argument("--selfsame", default="target/release/selfsame")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--run", help="a run, in place of one that is trained here")
    args = parser.parse_args()
    folder = args.folder
    selfsame = lambda *words: subprocess.run([args.selfsame, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    write(folder / "files", photos(args.photos, FILES))
    run = args.run or folder / "run"
    if not args.run:
        selfsame("pretrain", "--data", args.photos, "--epochs", 2, "--out", run, "--overwrite")
    shaken_resnet(folder / "resnet18.pth")
    worst = 0
    for name, source, size in [
        ("a run", [run], []),
        ("torchvision's ResNet-18", ["--init", folder / "resnet18.pth"], ["--image-size", 224]),
    ]:
        out = folder / ("init" if size else "trained")
        more = ["--overwrite"]
        selfsame("export", *source, "--format", "pytorch-names", "--out", out / "encoder.safetensors", *more)
        selfsame("export", *source, "--format", "onnx", "--out", out / "encoder.onnx", *more)
        more += ["--data", folder / "files", "--precision", "f32", *size]
        selfsame("embed", *source, "--to", out / "embeddings.npy", *more)
        rows = list(csv.DictReader(open(out / "embeddings.csv")))
        files = [folder / "files" / row["filename"] for row in rows]
        kinds = np.array([row["filename"].split(".")[0] for row in rows])
        expected = np.load(out / "embeddings.npy")
        found = {"model.py": by_program(out / "model.py", files), "onnxruntime": by_onnx(out / "encoder.onnx", files)}
        print(f"\n{name}: difference from embed, in parts of its length")
        print(f"{'':28} {'model.py':>21} {'onnxruntime':>21}")
        for kind in sorted(set(kinds)):
            apart = {
                path: np.linalg.norm(values - expected, axis=1)[kinds == kind]
                / np.linalg.norm(expected, axis=1)[kinds == kind]
                for path, values in found.items()
            }
            cells = [f"{np.median(part):.1e}, at most {part.max():.1e}" for part in apart.values()]
            print(f"{kind:28} {cells[0]:>21} {cells[1]:>21}")
            if "PNG" in kind or "odd" in kind:
                worst = max(worst, apart["onnxruntime"].max())
    sys.exit(worst > 1e-3)


if __name__ == "__main__":
    main()
