"""The sets of torchvision.datasets: how each is asked for its splits, and which are not for classification.

Only names: importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Arguments = Mapping[str, Any]


def _split(memory: str, query: str) -> tuple[Arguments, Arguments]:
    return {"split": memory}, {"split": query}


_TRAIN: tuple[Arguments, ...] = ({"train": True}, {"train": False})
_WHOLE: tuple[Arguments, ...] = ({},)

CLASSIFICATION: Mapping[str, Sequence[Arguments]] = {
    "Caltech101": _WHOLE,
    "Caltech256": _WHOLE,
    # The official splits of the two sets of faces share no person.
    "CelebA": ({"split": "all", "target_type": "identity"},),
    "CIFAR10": _TRAIN,
    "CIFAR100": _TRAIN,
    "CLEVRClassification": _split("train", "val"),  # its test split has no labels
    "Country211": _split("train", "test"),
    "DTD": _split("train", "test"),
    "EMNIST": ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    "EuroSAT": _WHOLE,
    "FakeData": _WHOLE,
    "FashionMNIST": _TRAIN,
    "FER2013": _split("train", "test"),
    "FGVCAircraft": _split("trainval", "test"),
    "Flowers102": _split("train", "test"),
    "Food101": _split("train", "test"),
    "GTSRB": _split("train", "test"),
    "ImageNet": _split("train", "val"),
    "Imagenette": _split("train", "val"),
    "INaturalist": ({"version": "2021_train"}, {"version": "2021_valid"}),
    "KMNIST": _TRAIN,
    "LFWPeople": ({"split": "10fold"},),
    "MNIST": _TRAIN,
    "Omniglot": ({"background": True},),  # the evaluation set has other characters
    "OxfordIIITPet": _split("trainval", "test"),
    "PCAM": _split("train", "test"),
    "Places365": _split("train-standard", "val"),
    "QMNIST": ({"what": "train"}, {"what": "test"}),
    "RenderedSST2": _split("train", "test"),
    "SEMEION": _WHOLE,
    "StanfordCars": _split("train", "test"),
    "STL10": _split("train", "test"),
    "SUN397": _WHOLE,
    "SVHN": _split("train", "test"),
    "USPS": _TRAIN,
}
"""By class: the arguments that ask for memory and for query, or for the whole, which is halved by class."""

LABEL_SPACES: Mapping[str, str] = {"CIFAR10": "cifar10", "FashionMNIST": "fashion_mnist"}
"""The label spaces of the catalog's own sets, which number their classes alike."""

_PARTS_OF_PICTURES = "it labels parts of pictures"
_PAIRS = "its samples are pairs of pictures"
_VIDEO = "its samples are videos"
_CAPTIONS = "it has captions, no classes"
_NOT_A_SET = "it is a tool, not a data set"

OTHERS: Mapping[str, str] = {
    **dict.fromkeys(("CocoDetection", "Kitti", "VOCDetection", "WIDERFace"), _PARTS_OF_PICTURES),
    **dict.fromkeys(("Cityscapes", "SBDataset", "VOCSegmentation"), _PARTS_OF_PICTURES),
    **dict.fromkeys(("CocoCaptions", "Flickr8k", "Flickr30k", "SBU"), _CAPTIONS),
    **dict.fromkeys(("HMDB51", "Kinetics", "MovingMNIST", "UCF101"), _VIDEO),
    **dict.fromkeys(("FlyingChairs", "FlyingThings3D", "HD1K", "KittiFlow", "Sintel"), _PAIRS),
    **dict.fromkeys(("CarlaStereo", "CREStereo", "ETH3DStereo", "FallingThingsStereo", "InStereo2k"), _PAIRS),
    **dict.fromkeys(("Kitti2012Stereo", "Kitti2015Stereo", "Middlebury2014Stereo"), _PAIRS),
    **dict.fromkeys(("SceneFlowStereo", "SintelStereo", "LFWPairs", "PhotoTour"), _PAIRS),
    **dict.fromkeys(("VisionDataset", "wrap_dataset_for_transforms_v2"), _NOT_A_SET),
    **dict.fromkeys(("DatasetFolder", "ImageFolder"), "folder:<path> reads folders of any name"),
    **dict.fromkeys(("LSUN", "LSUNClass"), "its reader runs a pickle that lies in the working folder"),
}
"""By name in torchvision.datasets: why it is not for this catalog."""


def split_arguments(name: str, given: Arguments) -> list[Arguments]:
    """Return the arguments that ask for memory and query; one set of them where they ask for the same.

    Args:
        name: A key of `CLASSIFICATION`.
        given: The user's arguments, which win: {split = "val"} gives that part alone.
    """
    asked: list[Arguments] = []
    for arguments in CLASSIFICATION[name]:
        merged = {**arguments, **given}
        if merged not in asked:
            asked.append(merged)
    return asked
