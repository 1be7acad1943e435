"""kNN and linear probe of `selfsame study` beside scikit-learn's, on the same embeddings.

Trains an encoder briefly on PHOTOS (a .tar or folder with classes), for each number of images a class, and compares the
accuracies in eval.json on the test images with

- scikit-learn at equal settings: the k and the penalty that selfsame chose;
- the best of scikit-learn's own 5-fold cross-validation, over more settings.

usage: python bench/knn_probe.py SELFSAME PHOTOS [IMAGES A CLASS]...      (needs scikit-learn; one JSON line each)
"""

import csv
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

EPOCHS, WIDTH, SIZE = 2, 16, 32


def voting(distances):
    """exp(cosine / 0.1) of unit vectors, whose squared distance is 2 - 2 cosine."""
    return np.exp((1 - np.asarray(distances) ** 2 / 2) / 0.1)


def neighbours(k, weights=voting):
    return make_pipeline(Normalizer(), KNeighborsClassifier(k, weights=weights, algorithm="brute"))


def probe(c):
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-8, max_iter=20_000))


def measure(selfsame, photos, each, folder):
    run = folder / str(each)
    names = tarfile.open(photos).getnames() if Path(photos).is_file() else map(str, Path(photos).glob("**/*.*"))
    classes = {Path(name).parent.name for name in names if Path(name).suffix}
    subprocess.run([selfsame, "study", "--data", photos, "--limit", str(each * len(classes)), "--image-size", str(SIZE),
                    "--width", str(WIDTH), "--epochs", str(EPOCHS), "--out", run], check=True, capture_output=True)
    subprocess.run([selfsame, "embed", run, "--to", run / "all.npy"], check=True, capture_output=True)
    x = np.load(run / "all.npy").astype(np.float64)
    rows = list(csv.DictReader(open(run / "all.csv")))
    y, split = np.array([row["label"] for row in rows]), np.array([row["split"] for row in rows])
    fit, test = split != "test", split == "test"
    evaluation = json.load(open(run / "eval.json"))
    ours = evaluation["accuracies"]["of"]["trained"]

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    counts = [k for k in [1, 3, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200] if k <= 0.8 * fit.sum()]
    grid = {"kneighborsclassifier__n_neighbors": counts, "kneighborsclassifier__weights": [voting, "uniform", "distance"]}
    knn = GridSearchCV(neighbours(1), grid, cv=folds).fit(x[fit], y[fit])
    grid = {"logisticregression__C": np.logspace(-5, 3, 17)}
    linear = GridSearchCV(probe(1.0), grid, cv=folds).fit(x[fit], y[fit])
    equal_knn = neighbours(ours["knn_k"]).fit(x[fit], y[fit])
    equal_linear = probe(1 / (fit.sum() * ours["linear_penalty"])).fit(x[fit], y[fit])
    score = lambda model: round(100 * model.score(x[test], y[test]), 2)
    return {
        "images a class": each,
        "fitted": int(fit.sum()),
        "test": int(test.sum()),
        "knn": {"selfsame": round(100 * ours["knn_acc1"], 2), "k": ours["knn_k"], "equal settings": score(equal_knn),
                "cross-validated": score(knn), "its k": knn.best_params_["kneighborsclassifier__n_neighbors"],
                "its weights": getattr(knn.best_params_["kneighborsclassifier__weights"], "__name__",
                                       knn.best_params_["kneighborsclassifier__weights"])},
        "linear": {"selfsame": round(100 * ours["linear_acc1"], 2), "penalty": ours["linear_penalty"],
                   "equal settings": score(equal_linear), "cross-validated": score(linear),
                   "its penalty": 1 / (fit.sum() * linear.best_params_["logisticregression__C"])},
        "all": {of: [round(100 * s["knn_acc1"], 1), s["knn_k"], round(100 * s["linear_acc1"], 1)]
                for of, s in evaluation["accuracies"]["of"].items()},
    }


def main():
    selfsame, photos, *each = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for images in map(int, each or [50, 100, 160]):
            print(json.dumps(measure(selfsame, photos, images, Path(folder))), flush=True)


main()
