

def encoder():
    """The network with its weights, for evaluation: [batch, 3, size, size] to [batch, dimension]."""
    model = network()
    model.load_state_dict(WEIGHTS)
    return model.eval()


def preprocess(image):
    """A PIL image as the encoder sees it, [1, 3, size, size]: upright, its centre square, resized, normalised."""
    from PIL import Image, ImageOps

    image = {upright}.convert("RGB")
    side, size = min(image.size), int(ABOUT["image_size"])
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.resize((size, size), Image.BILINEAR, box=(left, top, left + side, top + side))
    levels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, size, size, 3)
    mean, std = (torch.tensor(json.loads(ABOUT[name])) for name in ["mean", "std"])
    return ((levels / 255 - mean) / std).permute(0, 3, 1, 2)


if __name__ == "__main__":
    from PIL import Image

    model = encoder()
    for name in sys.argv[1:]:
        with Image.open(name) as image, torch.no_grad():
            print(name, *model(preprocess(image))[0].tolist())
