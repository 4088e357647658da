"""Tiny files in the layout of every torchvision classification set, for want of the real ones offline.

Picture number i has the grey value i throughout, so that a row can be told from every other.
"""

import bz2
import json
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

MAKERS = {}

IN_ONE_FILE = {
    *("CIFAR10", "CIFAR100", "EMNIST", "FashionMNIST", "FER2013", "KMNIST", "MNIST", "PCAM", "QMNIST"),
    *("SEMEION", "STL10", "SVHN", "USPS"),
}
"""Sets whose pictures are no files of their own."""


class Maker:
    """Writes numbered pictures and remembers which class and split each belongs to."""

    def __init__(self, root):
        self.root, self.expected, self.files = Path(root), {}, []
        self.root.mkdir(exist_ok=True)

    def number(self, class_name, split):
        number = 10 + len(self.expected)
        self.expected[number] = (class_name, split)
        return number

    def picture(self, path, class_name, split):
        """Write a PNG, whatever the suffix: Pillow looks at the content."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = self.number(class_name, split)
        Image.fromarray(np.full((8, 8), grey, dtype=np.uint8)).save(path, "PNG")
        self.files.append((path, grey))

    def text(self, path, *lines):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def raw(self, path, content):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def array(self, classes, split, shape):
        """Return pictures as an array, their labels in turn, two of each class."""
        labels = [0, 1, 0, 1]
        numbers = [self.number(classes[label], split) for label in labels]
        return np.stack([np.full(shape, number, dtype=np.uint8) for number in numbers]), labels


def maker(function):
    MAKERS[function.__name__] = function
    return function


SPLITS = (("train", False), ("test", True))


def per_split(write):
    for name, is_query in SPLITS:
        write(name, is_query)


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def _idx_pair(m, images, labels, classes, split, first=0):
    pixels, values = m.array(classes, split, (28, 28))
    m.raw(images, idx(pixels))
    m.raw(labels, idx(np.array(values, dtype=np.uint8) + np.uint8(first)))


def _mnist(name, first, second):
    def write(m):
        for prefix, split in (("train", False), ("t10k", True)):
            folder = f"{name}/raw/{prefix}"
            _idx_pair(m, f"{folder}-images-idx3-ubyte", f"{folder}-labels-idx1-ubyte", (first, second), split)

    MAKERS[name] = write


_mnist("MNIST", "0 - zero", "1 - one")
_mnist("FashionMNIST", "T-shirt/top", "Trouser")
_mnist("KMNIST", "o", "ki")


@maker
def EMNIST(m):
    for split, query in SPLITS:
        stem = f"EMNIST/raw/emnist-balanced-{split}"
        _idx_pair(m, f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte", ("0", "1"), query)


@maker
def QMNIST(m):
    for split, query in SPLITS:
        pixels, labels = m.array(("0 - zero", "1 - one"), query, (28, 28))
        rows = np.zeros((4, 8), dtype=">i4")
        rows[:, 0] = labels
        m.raw(f"QMNIST/raw/qmnist-{split}-images-idx3-ubyte", idx(pixels))
        m.raw(f"QMNIST/raw/qmnist-{split}-labels-idx2-int", idx(rows, 12))


def _cifar(m, folder, files, label_key, meta, names_key):
    for file, query in files:
        pixels, labels = m.array(("apple", "bear"), query, (3072,))
        m.raw(f"{folder}/{file}", pickle.dumps({"data": pixels, label_key: labels}))
    m.raw(f"{folder}/{meta}", pickle.dumps({names_key: ["apple", "bear"]}))


@maker
def CIFAR10(m):
    files = [*((f"data_batch_{i}", False) for i in range(1, 6)), ("test_batch", True)]
    _cifar(m, "cifar-10-batches-py", files, "labels", "batches.meta", "label_names")


@maker
def CIFAR100(m):
    _cifar(m, "cifar-100-python", SPLITS, "fine_labels", "meta", "fine_label_names")


@maker
def USPS(m):
    for file, query in (("usps.bz2", False), ("usps.t.bz2", True)):
        pixels, labels = m.array(("0", "1"), query, (256,))
        values = (pixels + 0.5) / 255 * 2 - 1
        lines = [
            f"{label + 1} " + " ".join(f"{i + 1}:{v:.6f}" for i, v in enumerate(row))
            for label, row in zip(labels, values, strict=True)
        ]
        m.raw(file, bz2.compress("\n".join(lines).encode()))


@maker
def SVHN(m):
    for split, query in SPLITS:
        pixels, labels = m.array(("0", "1"), query, (32, 32, 3))
        written = [10 if label == 0 else label for label in labels]  # the files say 10 for the digit 0
        savemat(
            m.root / f"{split}_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": np.array([written]).T}
        )


@maker
def STL10(m):
    for split, query in SPLITS:
        pixels, labels = m.array(("airplane", "bird"), query, (3, 96, 96))
        m.raw(f"stl10_binary/{split}_X.bin", pixels.tobytes())
        m.raw(f"stl10_binary/{split}_y.bin", bytes(label + 1 for label in labels))
    m.raw("stl10_binary/unlabeled_X.bin", b"")
    m.text("stl10_binary/class_names.txt", "airplane", "bird")


@maker
def SEMEION(m):
    pixels, labels = m.array(("0", "1"), None, (256,))
    rows = [[*((row + 0.5) / 255), *np.eye(10)[label]] for row, label in zip(pixels, labels, strict=True)]
    m.text("semeion.data", *(" ".join(f"{value:.6f}" for value in row) for row in rows))


@maker
def FER2013(m):
    lines = ["emotion,pixels,Usage"]
    for usage, query in (("Training", False), ("PublicTest", True)):
        pixels, labels = m.array(("0", "1"), query, (48 * 48,))
        rows = zip(labels, pixels, strict=True)
        lines += [f"{label},{' '.join(map(str, row))},{usage}" for label, row in rows]
    m.text("fer2013/fer2013.csv", *lines)


@maker
def PCAM(m):
    import h5py

    (m.root / "pcam").mkdir()
    for split, query in SPLITS:
        pixels, labels = m.array(("0", "1"), query, (96, 96, 3))
        stem = f"pcam/camelyonpatch_level_2_split_{split}"
        with h5py.File(m.root / f"{stem}_x.h5", "w") as file:
            file["x"] = pixels
        with h5py.File(m.root / f"{stem}_y.h5", "w") as file:
            file["y"] = np.array(labels).reshape(-1, 1, 1, 1)


def _class_folders(m, folder, names, split, files=("0.jpg", "1.jpg"), as_named=None):
    for i, name in enumerate(names):
        for file in files:
            m.picture(f"{folder}/{name}/{file}", (as_named or names)[i], split)


@maker
def Caltech101(m):
    files = ("image_0001.jpg", "image_0002.jpg")
    _class_folders(m, "caltech101/101_ObjectCategories", ("accordion", "anchor"), None, files)
    (m.root / "caltech101/101_ObjectCategories/BACKGROUND_Google").mkdir()


@maker
def Caltech256(m):
    for label, name in enumerate(("001.ak47", "002.american-flag"), start=1):
        for i in (1, 2):
            m.picture(f"caltech256/256_ObjectCategories/{name}/{label:03d}_{i:04d}.jpg", name, None)


@maker
def CelebA(m):
    names = [f"{i:06d}.jpg" for i in range(1, 5)]
    for i, name in enumerate(names):
        m.picture(f"celeba/img_align_celeba/{name}", str(100 + i % 2), None)
    m.text("celeba/list_eval_partition.txt", *(f"{name} 0" for name in names))
    m.text("celeba/identity_CelebA.txt", *(f"{name} {100 + i % 2}" for i, name in enumerate(names)))
    for table in ("list_bbox_celeba", "list_landmarks_align_celeba", "list_attr_celeba"):
        m.text(f"celeba/{table}.txt", "4", "Smiling Male", *(f"{name} 1 -1" for name in names))


@maker
def CLEVRClassification(m):
    for split, query in (("train", False), ("val", True)):
        files = [f"CLEVR_{split}_{i}.png" for i in range(4)]
        for i, file in enumerate(files):
            m.picture(f"clevr/CLEVR_v1.0/images/{split}/{file}", str(3 + i % 2), query)
        scenes = [{"image_filename": file, "objects": [{}] * (3 + i % 2)} for i, file in enumerate(files)]
        m.text(f"clevr/CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json", json.dumps({"scenes": scenes}))


@maker
def Country211(m):
    per_split(lambda name, query: _class_folders(m, f"country211/{name}", ("AD", "AE"), query))


@maker
def DTD(m):
    for split, query in SPLITS:
        files = (f"{split}0.jpg", f"{split}1.jpg")
        _class_folders(m, "dtd/dtd/images", ("banded", "dotted"), query, files)
        m.text(f"dtd/dtd/labels/{split}1.txt", *(f"{c}/{f}" for c in ("banded", "dotted") for f in files))


@maker
def EuroSAT(m):
    _class_folders(m, "eurosat/2750", ("Forest", "River"), None)


@maker
def FGVCAircraft(m):
    for split, query in (("trainval", False), ("test", True)):
        for i in range(4):
            m.picture(f"fgvc-aircraft-2013b/data/images/{split}{i}.jpg", ("707-320", "A 300")[i % 2], query)
        lines = [f"{split}{i} {('707-320', 'A 300')[i % 2]}" for i in range(4)]
        m.text(f"fgvc-aircraft-2013b/data/images_variant_{split}.txt", *lines)
    m.text("fgvc-aircraft-2013b/data/variants.txt", "707-320", "A 300")


@maker
def Flowers102(m):
    from torchvision import datasets

    names = getattr(datasets.Flowers102, "classes", ["0", "1"])[:2]
    for i in range(1, 9):
        m.picture(f"flowers-102/jpg/image_{i:05d}.jpg", names[i % 2], i > 4)
    savemat(m.root / "flowers-102/imagelabels.mat", {"labels": [i % 2 + 1 for i in range(1, 9)]})
    savemat(m.root / "flowers-102/setid.mat", {"trnid": [1, 2, 3, 4], "valid": [1], "tstid": [5, 6, 7, 8]})


@maker
def Food101(m):
    for split, query in SPLITS:
        names = [f"{split}0", f"{split}1"]
        _class_folders(m, "food-101/images", ("pie", "ribs"), query, [f"{name}.jpg" for name in names])
        listed = {c: [f"{c}/{name}" for name in names] for c in ("pie", "ribs")}
        m.text(f"food-101/meta/{split}.json", json.dumps(listed))


@maker
def GTSRB(m):
    _class_folders(m, "gtsrb/GTSRB/Training", ("00000", "00001"), False, ("0.ppm", "1.ppm"), ("0", "1"))
    for i in range(4):
        m.picture(f"gtsrb/GTSRB/Final_Test/Images/{i}.ppm", str(i % 2), True)
    m.text("gtsrb/GT-final_test.csv", "Filename;ClassId", *(f"{i}.ppm;{i % 2}" for i in range(4)))


@maker
def ImageNet(m):
    import torch

    wnids = {"n01440764": ("tench", "Tinca tinca"), "n01443537": ("goldfish",)}
    for split, query in (("train", False), ("val", True)):
        _class_folders(m, split, list(wnids), query, as_named=["tench, Tinca tinca", "goldfish"])
    torch.save((wnids, []), m.root / "meta.bin")


@maker
def Imagenette(m):
    names = ["tench, Tinca tinca", "English springer, English springer spaniel"]
    for split, query in (("train", False), ("val", True)):
        folder = f"imagenette2/{split}"
        _class_folders(m, folder, ("n01440764", "n02102040"), query, ("0.JPEG", "1.JPEG"), names)


@maker
def INaturalist(m):
    names = [f"{i:05d}_Animalia_Chordata_Aves_x_y_z_{i}" for i in range(2)]
    for version, query in (("2021_train", False), ("2021_valid", True)):
        _class_folders(m, version, names, query)


@maker
def LFWPeople(m):
    for name in ("Ada_L", "Emmy_N"):
        for i in (1, 2):
            m.picture(f"lfw-py/lfw_funneled/{name}/{name}_{i:04d}.jpg", name, None)
    m.text("lfw-py/lfw-names.txt", "Ada_L 2", "Emmy_N 2")
    m.text("lfw-py/people.txt", "1", "2", "Ada_L\t2", "Emmy_N\t2")
    m.raw("lfw-py/lfw-funneled.tgz", b"")


@maker
def Omniglot(m):
    for name in ("Zulu/character01", "Anglo/character02"):
        _class_folders(m, "omniglot-py/images_background", (name,), None, ("0.png", "1.png"))
    m.raw("omniglot-py/images_background.zip", b"")


@maker
def OxfordIIITPet(m):
    for split, query in (("trainval", False), ("test", True)):
        lines = []
        for i in range(4):
            pet = ("Abyssinian", "boxer_dog")[i % 2]
            m.picture(
                f"oxford-iiit-pet/images/{pet}_{split}{i}.jpg", ("Abyssinian", "Boxer Dog")[i % 2], query
            )
            lines.append(f"{pet}_{split}{i} {i % 2 + 1} {i % 2 + 1} 1")
        m.text(f"oxford-iiit-pet/annotations/{split}.txt", *lines)


@maker
def Places365(m):
    m.text("categories_places365.txt", "/a/airfield 0", "/a/alley 1")
    for folder, table, query in (
        ("data_large_standard", "places365_train_standard", False),
        ("val_large", "places365_val", True),
    ):
        for i in range(4):
            m.picture(f"{folder}/{i}.jpg", ("/a/airfield", "/a/alley")[i % 2], query)
        m.text(f"{table}.txt", *(f"/{i}.jpg {i % 2}" for i in range(4)))


@maker
def RenderedSST2(m):
    for name, query in SPLITS:
        _class_folders(m, f"rendered-sst2/{name}", ("negative", "positive"), query, ("0.png", "1.png"))


@maker
def StanfordCars(m):
    folder = m.root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(["AM General", "Acura"], dtype=object)})
    for split, query in SPLITS:
        for i in range(4):
            m.picture(f"stanford_cars/cars_{split}/{i}.jpg", ("AM General", "Acura")[i % 2], query)
        rows = np.array(
            [(f"{i}.jpg", i % 2 + 1) for i in range(4)], dtype=[("fname", object), ("class", object)]
        )
        file = "cars_test_annos_withlabels.mat" if query else "devkit/cars_train_annos.mat"
        savemat(folder / file, {"annotations": rows})


@maker
def SUN397(m):
    for name in ("abbey", "airport_terminal"):
        _class_folders(m, "SUN397/a", (name,), None, ("sun_0.jpg", "sun_1.jpg"))
    m.text("SUN397/ClassName.txt", "/a/abbey", "/a/airport_terminal")
