"""Compares the pixels that selfsame reads from image files with those of Pillow.

    python bench/decode.py --files 5000 --others 300 --folder /tmp/decode

It draws pictures, writes them in every form that Pillow, `cjpeg` and `jpegtran` (libjpeg-turbo) can
write, lets `cargo run --example pixels` read the central square of each at its own size, and says
how far they are apart. Needs numpy, Pillow and both programs. Exit code 1 if a file is silently
wrong: further off than allowed, or refused by one and not named by the other.

What is allowed, in levels of 255:

- Lossless formats: 0. CMYK: 1, since the product of ink and black is rounded.
- JPEG: the inverse DCTs of two decoders may round each sample by one level apart, and upsampling by
  one more for colour (2). Y + 1.772 (Cb - 128) multiplies that: 1 + 1.772 x 2 + 1 for its own
  rounding, so 6, and 1 on average. Two cases are apart by definition, and only bounded (32): the
  outermost rows and columns of the image, where zune-jpeg interpolates colour with samples that lie
  outside of it, and images of at most four pixels a side, where libjpeg does not interpolate.
- Lossy WebP: YUV to RGB multiplies by 2.018, and both decoders are exact before that; upsampling of
  colour may differ by one level, so 1 + 2.018 + 1 = 4.
"""

import argparse
import collections
import io
import pathlib
import random
import subprocess
import sys

import numpy as np
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).parent.parent
SAMPLINGS = ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "2x3"]
SAMPLINGS += ["1x1,2x2,2x2", "2x2,2x1,1x2", "2x1,1x2,1x1", "2x2,1x2,2x1", "3x1,1x1,3x1", "4x4", "3x3"]
SAMPLINGS += ["2x1,2x1,1x1", "1x2,1x2,1x1", "2x2,2x2,1x1", "2x1,1x1,2x1", "1x1,2x1,1x1"]
SEQUENTIAL = ["", "0;1;2;", "0;1 2;", "0 1;2;", "2;1;0;", "1 2;0;", "0 2;1;", "1;0;2;", "0,1,2;"]
PROGRESSIVE = [
    "",
    "0 1 2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
    "0: 0-0, 0, 0; 1: 0-0, 0, 0; 2: 0-0, 0, 0; 2: 1-63, 0, 0; 1: 1-63, 0, 0; 0: 1-63, 0, 0;",
    "0 1 2: 0-0, 0, 2; 0 1 2: 0-0, 2, 1; 0 1 2: 0-0, 1, 0; 0: 1-5, 0, 0; 0: 6-63, 0, 0;"
    "1: 1-63, 0, 1; 1: 1-63, 1, 0; 2: 1-63, 0, 0;",
    "2: 0-0, 0, 1; 0 1: 0-0, 0, 1; 2: 0-0, 1, 0; 0 1: 0-0, 1, 0; 0: 1-1, 0, 0; 0: 2-63, 0, 3;"
    "0: 2-63, 3, 2; 0: 2-63, 2, 1; 0: 2-63, 1, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
]
SIZES = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 24, 31, 32, 33, 40, 48, 49, 64, 65, 80, 97]


def picture(draw, width, height, channels=3):
    """Soft shapes, hard edges and grain."""
    y, x = np.mgrid[0:height, 0:width]
    waves = draw.uniform(0.05, 0.6, (channels, 4))
    layers = [
        128 + 70 * np.sin(a * x + b * y) + 40 * np.sign(np.sin(c * x * 0.3 - d * y * 0.3))
        for a, b, c, d in waves
    ]
    grain = draw.normal(0, draw.choice([0, 4, 15]), (height, width, channels))
    return (np.stack(layers, -1) + grain).clip(0, 255).astype(np.uint8)


def run(command, bytes_in):
    done = subprocess.run(command, input=bytes_in, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def jpeg(draw, number, folder):
    """Bytes of a JPEG, and what kind it is; None if libjpeg does not write it."""
    width, height = draw.choice(SIZES, 2)
    quality = str(draw.choice([10, 40, 75, 90, 100]))
    pixels = picture(draw, width, height)
    kind = draw.choice(["sequential", "progressive", "grey", "cmyk", "rgb", "pillow", "orientation",
                        "arithmetic", "ids", "fill", "no-eoi", "dnl", "12-bit", "no-jfif"],
                       p=[.42, .2, .04, .04, .05, .05, .04, .02, .04, .03, .01, .01, .01, .04])
    if kind == "cmyk":
        into = io.BytesIO()
        four = np.concatenate([pixels, picture(draw, width, height, 1)], -1)
        Image.fromarray(four, "CMYK").save(into, "JPEG", quality=int(quality),
                                           progressive=bool(draw.random() < 0.3))
        data = into.getvalue()
        if draw.random() < 0.4:  # without Adobe's segment, inks are not inverted
            at = data.find(b"\xff\xee")
            data = data[:at] + data[at + 16:]
        return data, kind
    if kind in ("pillow", "orientation"):
        into = io.BytesIO()
        exif = Image.Exif()
        if kind == "orientation":
            exif[0x112] = int(draw.integers(1, 9))
        Image.fromarray(pixels).save(into, "JPEG", quality=int(quality), exif=exif,
                                     subsampling=int(draw.integers(0, 3)),
                                     optimize=bool(draw.random() < 0.5),
                                     restart_marker_blocks=int(draw.choice([0, 1, 3])))
        return into.getvalue(), kind
    command = ["cjpeg", "-quality", quality]
    script = None
    if kind == "grey":
        command += ["-grayscale"]
    else:
        command += ["-sample", str(draw.choice(SAMPLINGS))]
    if kind == "rgb":
        command += ["-rgb"]
    if kind == "arithmetic":
        command += ["-arithmetic"]
    if kind == "progressive":
        script = str(draw.choice(PROGRESSIVE))
        command += ["-progressive"] if not script else []
    elif kind not in ("grey", "arithmetic"):
        script = str(draw.choice(SEQUENTIAL))
    if script:
        path = folder / "script"
        path.write_text(script.replace(";", ";\n"))
        command += ["-scans", str(path)]
    restart = str(draw.choice(["", "1B", "3B", "1", "7B"]))
    if restart:
        command += ["-restart", restart]
    if draw.random() < 0.3:
        command += ["-optimize"]
    source = b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes()
    data = run(command, source)
    if data is None:
        return None
    frame = next(at for at in range(len(data)) if data[at] == 0xff and data[at + 1] in (0xc0, 0xc1, 0xc2, 0xc9))
    if kind == "ids":  # other names of the components
        data = bytearray(data)
        names = {1: 0, 2: 34, 3: 35} if draw.random() < 0.5 else {1: ord("B"), 2: ord("G"), 3: ord("R")}
        for component in range(data[frame + 9]):
            at = frame + 10 + component * 3
            data[at] = names[data[at]]
        at = 2
        while data[at + 1] != 0xd9:
            if data[at + 1] == 0xda:
                for component in range(data[at + 4]):
                    data[at + 5 + component * 2] = names[data[at + 5 + component * 2]]
            at += 2 + data[at + 2] * 256 + data[at + 3]
            while data[at] != 0xff or data[at + 1] in (0, *range(0xd0, 0xd8)):
                at += 1
        data = bytes(data)
    elif kind == "fill":  # any number of 0xff before a marker
        data = data[:frame] + b"\xff" * int(draw.integers(1, 4)) + data[frame:]
    elif kind == "no-eoi":
        data = data[:-2]
    elif kind == "dnl":
        data = data[:frame + 5] + b"\0\0" + data[frame + 7:]
    elif kind == "12-bit":
        data = data[:frame + 4] + b"\x0c" + data[frame + 5:]
    elif kind == "no-jfif":
        data = data[:2] + data[20:]
    return data, kind + (" multi-scan" if script and kind == "sequential" else "")


def other(draw, name):
    """Bytes of a file of another format and what kind it is."""
    width, height = draw.choice(SIZES, 2)
    rgba = np.concatenate([picture(draw, width, height), picture(draw, width, height, 1)], -1)
    grey = Image.fromarray(rgba[..., 0])
    rgb = Image.fromarray(np.ascontiguousarray(rgba[..., :3]))
    images = {
        "1": grey.convert("1"), "L": grey, "RGB": rgb, "RGBA": Image.fromarray(rgba),
        "LA": Image.merge("LA", [grey, Image.fromarray(rgba[..., 3])]),
        "P": rgb.quantize(int(draw.choice([2, 3, 13, 200]))),
        "I;16": Image.fromarray((rgba[..., 0].astype(np.uint16) * 257 - 5 * rgba[..., 1]) & 0xffff),
        "CMYK": Image.fromarray(rgba, "CMYK"),
        "F": Image.fromarray(rgba[..., 0].astype(np.float32)),
    }
    into, options = io.BytesIO(), {}
    modes = {"PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"], "WEBP": ["RGB", "RGBA", "L"],
             "BMP": ["1", "L", "P", "RGB", "RGBA"], "GIF": ["L", "P", "1", "RGB"],
             "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F"],
             "PPM": ["1", "L", "RGB", "I;16"]}[name]
    mode = str(draw.choice(modes))
    kind = mode
    if name == "WEBP":
        options["lossless"] = bool(draw.random() < 0.5)
        options["exact"] = True
        kind += " lossless" if options["lossless"] else " lossy"
    if name == "TIFF":
        written = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]
        written += {"1": ["group4"], "RGB": ["jpeg"], "L": ["jpeg"]}.get(mode, [])
        options["compression"] = str(draw.choice(written))
        kind += " " + options.get("compression", "raw")
    if name in ("PNG", "WEBP") and draw.random() < 0.3:
        exif = Image.Exif()
        exif[0x112] = int(draw.integers(1, 9))
        options["exif"] = exif
        kind += " orientation"
    if name == "TIFF" and draw.random() < 0.3:
        options["tiffinfo"] = {0x112: int(draw.integers(1, 9))}
        kind += " orientation"
    if name in ("GIF", "TIFF", "PNG", "WEBP") and mode in ("RGB", "L") and draw.random() < 0.2:
        options["save_all"] = True
        options["append_images"] = [ImageOps.invert(images[mode])]
        kind += " several"
    if name in ("PNG", "GIF") and mode == "P" and draw.random() < 0.5:
        options["transparency"] = 0
        kind += " transparent"
    images[mode].save(into, name, **options)
    return into.getvalue(), f"{name} {kind}"


def reference(data):
    """Central square of Pillow's pixels, upright and without transparency; or None."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception:
        return None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
        pixels = np.repeat(grey[..., None], 3, -1)
    else:
        has_alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
        pixels = np.asarray(image.convert("RGBA") if has_alpha else image.convert("RGB"))[..., :3]
    height, width = pixels.shape[:2]
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return pixels[top:top + side, left:left + side]


def allowed(kind):
    if kind.startswith(("PNG", "BMP", "GIF", "PPM")) or "lossless" in kind:
        return 0
    if kind.startswith("TIFF"):
        return 1 if "CMYK" in kind else 0
    return 4 if kind.startswith("WEBP") else 6


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=5000)
    arguments.add_argument("--others", type=int, default=300, help="files of each other format")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("--reader", help="the built example; by default it is run by cargo")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(options.seed)
    files = []
    while len(files) < options.files:
        made = jpeg(draw, len(files), options.folder)
        files += [made] if made else []
    for name in ["PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]:
        files += [other(draw, name) for _ in range(options.others)]
    lines, references = [], []
    for number, (data, kind) in enumerate(files):
        path = options.folder / f"{number:05}"
        path.write_bytes(data)
        for old in (".rgb", ".cause"):
            path.with_suffix(old).unlink(missing_ok=True)
        references.append(reference(data))
        side = 1 if references[-1] is None else references[-1].shape[0]
        lines.append(f"{side} {path}")
    command = [options.reader] if options.reader else [
        "cargo", "run", "--release", "-q", "-p", "selfsame-data", "--example", "pixels"]
    subprocess.run(command, cwd=ROOT, input="\n".join(lines).encode(), check=True)

    table = collections.defaultdict(lambda: [0, 0, 0.0, collections.Counter(), 0])
    wrong = []
    for number, ((data, kind), wanted) in enumerate(zip(files, references)):
        path = options.folder / f"{number:05}"
        row = table[kind]
        row[0] += 1
        if path.with_suffix(".cause").exists():
            row[3][path.with_suffix(".cause").read_text()] += 1
            continue
        if wanted is None:
            wrong.append((path, kind, "Pillow refuses it"))
            continue
        found = np.fromfile(path.with_suffix(".rgb"), np.uint8).reshape(wanted.shape).astype(int)
        apart = np.abs(found - wanted)
        if allowed(kind) == 6:
            height, width = apart.shape[:2]
            outer = np.zeros((height, width), bool)
            full = Image.open(io.BytesIO(data)).size
            outer[[0, -1]] = outer[:, [0, -1]] = True
            if min(full) <= 4:
                outer[:] = True
            row[4] = max(row[4], int(apart[outer].max()))
            if apart[outer].max() > 32:
                wrong.append((path, kind, f"at the edge most {apart.max()}"))
            apart = apart[~outer]
            if not apart.size:
                continue
        row[1] = max(row[1], int(apart.max()))
        row[2] += float(apart.mean())
        if apart.max() > allowed(kind) or apart.mean() > 1:
            wrong.append((path, kind, f"most {apart.max()}, mean {apart.mean():.2f}"))
    print("| kind | files | largest difference | at edges | mean difference | left out |")
    print("|---|---|---|---|---|---|")
    for kind, (count, most, total, causes, edge) in sorted(table.items()):
        read = count - sum(causes.values())
        left = "; ".join(f"{number}: {cause}" for cause, number in causes.most_common(3))
        print(f"| {kind} | {count} | {most} | {edge} | {total / max(read, 1):.3f} | {left} |")
    for path, kind, what in wrong:
        print("WRONG", path, kind, what)
    print(f"{len(files)} files, {len(wrong)} silently wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
