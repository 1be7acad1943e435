"""Makes the seeds of the fuzz targets, a few small valid files each: python fuzz/seeds.py

Needs numpy and Pillow.
"""

import io
import json
import pathlib
import struct
import tarfile

import numpy as np
from PIL import Image

SEEDS = pathlib.Path(__file__).parent / "seeds"


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def image(mode, size, **options):
    rng = np.random.default_rng(0)
    if mode == "1":
        into = io.BytesIO()
        bits = rng.integers(0, 2, (size[1], size[0])).astype(bool)
        Image.fromarray(bits).save(into, **options)
        return into.getvalue()
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = rng.integers(0, 256, (size[1], size[0], channels), np.uint8)
    into = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(into, **options)
    return into.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x112] = value
    return exif


def images():
    write("jpeg", "baseline-444.jpg", image("RGB", (17, 9), format="JPEG", subsampling=0))
    write("jpeg", "baseline-420.jpg", image("RGB", (33, 20), format="JPEG", subsampling=2))
    write("jpeg", "progressive.jpg", image("RGB", (16, 16), format="JPEG", progressive=True))
    write("jpeg", "grey.jpg", image("L", (12, 15), format="JPEG"))
    write("jpeg", "cmyk.jpg", image("CMYK", (8, 8), format="JPEG"))
    write("jpeg", "restarts.jpg", image("RGB", (40, 24), format="JPEG", restart_marker_blocks=2))
    write("png", "rgb.png", image("RGB", (9, 7), format="PNG"))
    write("png", "rgba.png", image("RGBA", (9, 7), format="PNG"))
    write("png", "grey.png", image("L", (20, 3), format="PNG"))
    deep = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999).save(deep, format="PNG")
    write("png", "deep.png", deep.getvalue())
    palette = io.BytesIO()
    Image.open(io.BytesIO(image("RGB", (8, 8), format="PNG"))).quantize(7).save(palette, "PNG")
    write("png", "palette.png", palette.getvalue())
    write("jpeg", "orientation.jpg", image("RGB", (24, 8), format="JPEG", exif=orientation(6)))
    write("png", "orientation.png", image("RGB", (5, 8), format="PNG", exif=orientation(5)))
    for mode in ["1", "L", "RGB", "RGBA"]:
        write("bmp", f"{mode}.bmp", image(mode, (9, 5), format="BMP"))
    write("gif", "grey.gif", image("L", (10, 6), format="GIF"))
    first = Image.fromarray(np.eye(8, dtype=np.uint8) * 255)
    several = io.BytesIO()
    first.save(several, "GIF", save_all=True, append_images=[first.rotate(90)], transparency=0)
    write("gif", "several.gif", several.getvalue())
    for mode, packing in [("1", "group4"), ("L", "packbits"), ("RGB", "tiff_lzw"),
                          ("RGBA", "tiff_adobe_deflate"), ("CMYK", "raw")]:
        content = image(mode, (11, 7), format="TIFF", compression=packing)
        write("tiff", f"{mode}-{packing}.tif", content)
    deep = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999).save(deep, format="TIFF")
    write("tiff", "deep.tif", deep.getvalue())
    for mode in ["1", "L", "RGB"]:
        write("pnm", f"{mode}.pnm", image(mode, (9, 5), format="PPM"))
    write("pnm", "text.pnm", b"P2 # grey\n3 2\n4095\n0 1 2\n4095 4 5\n")
    write("webp", "lossy.webp", image("RGB", (16, 11), format="WEBP"))
    write("webp", "lossless.webp", image("RGBA", (8, 8), format="WEBP", lossless=True))


def sets():
    pixels = bytes(range(256)) * 3
    write("idx", "three", struct.pack(">IIII", 0x803, 3, 16, 16) + pixels[:768])
    write("cifar", "two", (b"\1" + pixels * 4) + (b"\7" + pixels * 4))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ["train/a/0.png", "train/b/1.png", "test/a/2.png", "test/b/3.png"]:
            content = image("RGB", (8, 8), format="PNG")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    write("tar", "classes", archive.getvalue())


def arrays():
    def npy(array):
        into = io.BytesIO()
        np.save(into, array)
        return into.getvalue()

    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3) + 1
    write("npy", "f4", npy(values))
    write("npy", "f8-columns", npy(np.asfortranarray(values[:, 0].astype(np.float64))))
    write("npy", "f2", npy(values.astype(np.float16)))
    write("npy", "labels", npy(np.arange(4)))
    both = io.BytesIO()
    np.savez(both, embeddings=values, labels=np.array([0, 0, 1, 1]))
    write("npz", "both", both.getvalue())


def weights():
    tensors = {"conv1.weight": [2, 3, 3, 3], "bn1.bias": [2]}
    header, at = {"__metadata__": {"step": "1"}}, 0
    for name, shape in tensors.items():
        end = at + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    write("safetensors", "two", struct.pack("<Q", len(text)) + text + bytes(at))
    # PyTorch's form needs torch to write; the readers' tests have small files of it.
    fixtures = pathlib.Path(__file__).parent.parent / "crates/nn/tests/fixtures"
    for name in ["call.pth", "expanded.pth"]:
        write("pth", name, (fixtures / name).read_bytes())


def texts():
    write("dimacs", "small", b"c a graph\np edge 5 4\ne 1 2\ne 2 3\ne 1 3\ne 4 5\n")
    for number, text in enumerate(["abcde", "abcd0.25e", "none", "simclr"]):
        write("policy", f"letters-{number}", text.encode())
    write("policy", "table", b"[crop]\nscale = [0.2, 1.0]\n[jitter]\nprobability = [0.0, 0.2]\n")
    write(
        "policy",
        "every-step",
        b"crop = {}\npad_crop = {}\nrotation = {}\nflip = {}\nvertical_flip = {}\njitter = {}\n"
        b"grey = {}\nblur = {}\nsolarise = {}\n",
    )
    write(
        "grid",
        "small",
        b"title = 't'\nabout = 'a'\nseeds = [0, 1]\n[all]\nepochs = 1\n[[rows]]\naugment = 'a'\n"
        b"[[rows]]\naugment = 'ab'\n[[columns]]\nwidth = 2\n[[claims]]\nsays = 'c'\n"
        b"kind = 'order'\nrows = ['ab', 'a']\n[scales.small]\nabout = 's'\nseeds = [0]\n",
    )


if __name__ == "__main__":
    images()
    sets()
    arrays()
    weights()
    texts()
