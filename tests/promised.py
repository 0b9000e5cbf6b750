"""What scripts may rely on in a run's folder and records, written down once for the tests of the function and of the command."""

from pathlib import Path

FILES = {"model.safetensors", "config.json", "model.onnx", "metrics.jsonl", "report.html"}
EPOCH_KEYS = ["epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds", "images_per_second"]
FINAL_KEYS = [
    *("final", "recipe", "seed", "epochs", "train_seconds", "train_accuracy", "validation_accuracy"),
    *("test_accuracy", "test_loss", "test_f1_macro", "parameters", "device"),
]


def names(folder: Path) -> set[str]:
    """Of what lies in a folder."""
    return {path.name for path in folder.iterdir()}
