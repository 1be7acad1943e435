"""Plants wrong labels and copies among images, trains an encoder on them briefly, and counts how many of each
selfsame lists among the first.

    python3 bench/planted.py photos.tar --selfsame target/release/selfsame --seeds 1 2 3

The tar holds SPLIT/CLASS/IMAGE. Ten images change to a random other class, and ten others come again under
other names: five within their split and five in the other one; two as they are, the others as JPEG, PNG or
smaller. A line of JSON for each seed; `random` is what a list in random order would show.
"""
import argparse, io, json, pathlib, random, subprocess, tarfile, tempfile
from PIL import Image

PLANTED, SHOWN = 10, 25
KINDS = ["same", "jpeg", "png", "smaller", "jpeg"]


def again(data: bytes, kind: str) -> tuple[bytes, str]:
    """The same picture in another file, and the end of its name."""
    if kind == "same":
        return data, "jpg"
    image, file = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
    if kind == "png":
        image.save(file, "PNG")
        return file.getvalue(), "png"
    if kind == "smaller":
        image = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.LANCZOS)
    image.save(file, "JPEG", quality=85 if kind == "smaller" else 70)
    return file.getvalue(), "jpg"


def plant(source: pathlib.Path, target: pathlib.Path, seed: int) -> tuple[dict, list]:
    """Writes the planted tar. Returns the true class of each wrong label, and the pairs of copies."""
    chance = random.Random(seed)
    with tarfile.open(source) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
    splits = sorted({name.split("/")[0] for name in files})
    classes = sorted({name.split("/")[1] for name in files})
    chosen = chance.sample(sorted(files), 2 * PLANTED)
    wrong, copies = {}, []
    for i, name in enumerate(chosen[:PLANTED]):
        split, label, _ = name.split("/")
        new = f"{split}/{chance.choice([c for c in classes if c != label])}/w{i:02}.jpg"
        files[new] = files.pop(name)
        wrong[new] = label
    for i, name in enumerate(chosen[PLANTED:]):
        split, label, _ = name.split("/")
        data, end = again(files[name], KINDS[i % len(KINDS)])
        to = split if i < PLANTED // 2 else next(s for s in splits if s != split)
        files[new := f"{to}/{label}/c{i:02}.{end}"] = data
        copies.append({name, new})
    with tarfile.open(target, "w") as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return wrong, copies


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("images", type=pathlib.Path)
    p.add_argument("--selfsame", default="target/release/selfsame")
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    p.add_argument("--epochs", default="20")
    p.add_argument("--image-size", default="64")
    p.add_argument("--out", type=pathlib.Path, help="folder for the runs [default: a temporary one]")
    a = p.parse_args()
    out = a.out or pathlib.Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    for seed in a.seeds:
        tar, run = out / f"planted-{seed}.tar", out / f"run-{seed}"
        wrong, copies = plant(a.images, tar, seed)
        # A run that is there already is measured again.
        made = (run / "config.toml").exists()
        command = [a.selfsame, "eval", run] if made else [
            a.selfsame, "study", "--data", tar, "--image-size", a.image_size, "--epochs", a.epochs, "--out", run]
        subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
        suspects = json.loads((run / "suspects.json").read_text())
        look = json.loads((run / "look.json").read_text())
        pairs = [{image["name"] for image in pair["images"]} for pair in look["twins"]["pairs"]]
        shown = [s for s in suspects[:SHOWN] if s["image"] in wrong]
        print(json.dumps({
            "seed": seed,
            "wrong_labels_shown": len(shown),
            "of_them_with_the_true_class": sum(s["likely"] == wrong[s["image"]] for s in shown),
            "wrong_labels_listed": sum(s["image"] in wrong for s in suspects),
            "suspects": len(suspects),
            "random": round(PLANTED * SHOWN / look["images"], 2),
            "copies_shown": sum(pair in copies for pair in pairs[:SHOWN]),
            "pairs": len(pairs),
            "probe": look["labels"]["accuracy"],
            "steps": look["step"],
            "epochs": a.epochs,
        }), flush=True)


if __name__ == "__main__":
    main()
