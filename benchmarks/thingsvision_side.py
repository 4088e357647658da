"""thingsvision in a process and an environment of its own, asked for one extraction at a time.

    python -P thingsvision_side.py resnet18 weights.pth layer4 pictures

Reads a batch size per line, extracts the layer from the whole folder as its README does (`extract_features`,
then `save_features`), and answers with a line of JSON: seconds, images, and the file of the features. -P,
because this folder has a thingsvision.py too.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # thingsvision prints

from thingsvision import get_extractor  # noqa: E402
from thingsvision.utils.data import DataLoader, ImageDataset  # noqa: E402
from thingsvision.utils.storing import save_features  # noqa: E402


def main() -> None:
    name, weights, layer, pictures = sys.argv[1:]
    extractor = get_extractor(
        model_name=name, source="torchvision", device="cpu", pretrained=False, model_path=weights
    )
    with tempfile.TemporaryDirectory() as folder:
        dataset = ImageDataset(
            root=pictures,
            out_path=folder,
            backend=extractor.get_backend(),
            transforms=extractor.get_transformations(resize_dim=256, crop_dim=224),
        )
        print(json.dumps({"ready": len(dataset)}), file=answers, flush=True)
        for line in sys.stdin:
            start = time.perf_counter()
            batches = DataLoader(dataset=dataset, batch_size=int(line), backend=extractor.get_backend())
            features = extractor.extract_features(
                batches=batches, module_name=layer, flatten_acts=True, output_type="ndarray"
            )
            save_features(features, out_path=folder, file_format="npy")
            answer = {
                "seconds": time.perf_counter() - start,
                "images": len(features),
                "features": str(Path(folder, "features.npy")),
                "files": [str(path) for path in dataset.images],
            }
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
