"""Put trained networks into the package: of each arm the one that did best on held-out images.

    python benchmarks/embed_models.py --lake lake --trained trained

Weights are rounded to float16; the record of the training lies beside them as JSON, with the sha256 of both
files of weights. What it prints belongs into `u1core/catalog/catalog.toml`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from u1core.lake.connect import connect
from u1core.lake.guard import run_query
from u1core.networks.weights import EMBEDDED

NAMES = {"onehot": "resnet20_onehot", "onehot+u1": "resnet20_onehot_u1"}

_BEST = """
with

last_epochs as (
    select run_key, validation_accuracy from training_epochs
    qualify row_number() over (partition by run_key order by epoch desc) = 1
)

select training_runs.*, validation_accuracy
from training_runs
join last_epochs using (run_key)
where is_current and is_chosen and arm = $arm and task = 'cifar10' and network = 'cifar_resnet:20'
order by validation_accuracy desc, seed
limit 1
"""

_EPOCHS = "select * from training_epochs where run_key = $run_key order by epoch"
_OF_THE_RUN = {"run_key", "experiment", "task", "network", "arm", "u1_weight", "seed"}


def main() -> None:
    """Embed the best network of each arm."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--trained", type=Path, required=True)
    named = parser.parse_args()
    connection = connect(named.lake)
    for arm, name in NAMES.items():
        run = run_query(connection, _BEST, {"arm": arm}).to_pylist()[0]
        epochs = run_query(connection, _EPOCHS, {"run_key": run["run_key"]}).to_pylist()
        sha256 = embed(name, named.trained / f"{run['model']}.safetensors", run, epochs)
        print(f'{name}: seed {run["seed"]}, test {run["test_accuracy"]:.4f}, sha256 = "{sha256}"')


def embed(name: str, trained: Path, run: dict[str, Any], epochs: list[dict[str, Any]]) -> str:
    """Write the rounded weights and the record of one network; return the sha256 of the weights."""
    state = safetensors.torch.load_file(trained)
    rounded = {n: t.to(torch.float16) if t.is_floating_point() else t for n, t in state.items()}
    content = safetensors.torch.save(rounded)
    (EMBEDDED / f"{name}.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    record = {
        "embedded_sha256": sha256,
        **run,
        "recipe": json.loads(run["recipe"]),
        "epochs": [{k: v for k, v in epoch.items() if k not in _OF_THE_RUN} for epoch in epochs],
    }
    (EMBEDDED / f"{name}.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    return sha256


if __name__ == "__main__":
    main()
