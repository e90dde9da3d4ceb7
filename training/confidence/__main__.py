"""`make train-judge DATA=FOLDER`: write the model file of `pointsman_sidecar.confidence`."""

import json
import sys
from pathlib import Path

from confidence import fitting, samples

_MODEL = Path(__file__).parents[2] / "sidecar/pointsman_sidecar/confidence/model.json"


def main() -> None:
    """Train on all that is labelled."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the command and the folder
        sys.exit("give the folder of the data: make train-judge DATA=FOLDER")
    labelled = samples.read(Path(sys.argv[1]))
    model = fitting.fit(labelled, fitting.names(labelled))
    weights = {name: [each.mean, each.scale, each.weight] for name, each in sorted(model.weights.items())}
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in weights.items())
    text = f'{{\n  "bias": {json.dumps(model.bias)},\n  "weights": {{\n{rows}\n  }}\n}}\n'
    _MODEL.write_text(text, encoding="utf-8")
    print(f"{_MODEL.name}: {len(weights)} weights of {len(labelled)} answers, {len(text)} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
