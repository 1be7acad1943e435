"""Views a second on one core, selfsame beside the augmentation libraries of Python, in one run.

    python -m venv venv && venv/bin/pip install torch torchvision kornia albumentations opencv-python-headless
    cargo build --release
    venv/bin/python bench/augment.py PEERS

PEERS is a script that takes --source, --size and --seconds and prints one JSON line for each library with `peer` and
`views_per_second_per_core`. Both sides make the same views: random resized crop, flip, colour jitter, grey, Gaussian
blur, normalised floats. They take turns on one core, since machines are shared and noisy; medians of the rounds count.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = [(32, 32), (500, 224)]
# What the peers compute with.
BELOW = ["numpy", "opencv-python-headless", "pillow", "torch"]


def lines(command):
    print("  ", " ".join(map(str, command[1:])), file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not found:
        sys.exit(f"exit code {done.returncode} and {len(found)} lines of JSON, where there should be 0 and at least one: "
                 + " ".join(map(str, command)))
    return found


def versions(peers):
    """Of the packages that are installed beside this interpreter, which runs the peers."""
    found = {}
    for name in sorted({*peers, *BELOW}):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", help="the script that runs the libraries")
    parser.add_argument("--selfsame", default=ROOT / "target/release/selfsame", help="the program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", help="file for the result as JSON")
    args = parser.parse_args()
    # One core for this process and all that it starts, where the system can.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    result = {"work": "augment", "processor": processor(), "python": platform.python_version(), "rounds": args.rounds}
    for source, size in WORK:
        options = ["--source", str(source), "--size", str(size), "--seconds", str(args.seconds)]
        rates = {}
        for _ in range(args.rounds):
            for line in lines([args.selfsame, "bench", "augment", *options, "--json"]):
                result["isa"] = line["isa"]
                rates.setdefault("selfsame", []).append(line["views_per_second_per_core"])
            for line in lines([sys.executable, args.peers, *options]):
                rates.setdefault(line["peer"], []).append(line["views_per_second_per_core"])
        medians = {name: statistics.median(values) for name, values in rates.items()}
        ours = medians.pop("selfsame")
        best = max(medians, key=medians.get)
        print(f"{source} to {size} pixels, views a second on one core")
        print(f"{'selfsame':>16} {ours:10.0f}")
        for name, rate in sorted(medians.items(), key=lambda pair: -pair[1]):
            print(f"{name:>16} {rate:10.0f}   selfsame is {ours / rate:.1f} times as fast")
        result[f"{source}_to_{size}"] = {
            "selfsame": ours, "peers": medians, "best_peer": best, "ratio": ours / medians[best], "rounds": rates,
        }
        result["versions"] = versions(medians)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


main()
