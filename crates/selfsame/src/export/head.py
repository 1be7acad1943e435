"""The encoder whose weights are in {file}: from images to embeddings.

    from model import encoder, preprocess
    embedding = encoder()(preprocess(PIL.Image.open("photo.jpg")))

Needs torch and safetensors, and Pillow to read images. `python model.py photo.jpg` prints an embedding.
"""

import json
import pathlib
import sys
from collections import OrderedDict

import torch
from safetensors import safe_open
from torch import nn

with safe_open(pathlib.Path(__file__).with_name("{file}"), "pt") as file:
    ABOUT = json.loads(file.metadata()["selfsame"])
    WEIGHTS = {name: file.get_tensor(name) for name in file.keys()}


