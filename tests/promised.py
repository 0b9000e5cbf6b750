"""What scripts may rely on in a run's folder and in records, for tests of function and command."""

from pathlib import Path

FILES = {"model.safetensors", "config.json", "model.onnx", "metrics.jsonl", "report.html"}
EPOCH_KEYS = [
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
    "images_per_second",
]
FINAL_KEYS = [
    *(
        "final",
        "recipe",
        "seed",
        "epochs",
        "train_seconds",
        "train_accuracy",
        "validation_accuracy",
    ),
    *("test_accuracy", "test_loss", "test_f1_macro", "parameters", "device"),
]
EVALUATION_KEYS = [
    *(
        "model",
        "data",
        "split",
        "n",
        "correct",
        "accuracy",
        "accuracy_ci95",
        "nll",
        "ece",
        "f1_macro",
        "per_class",
        "confusion",
    ),
    *(
        "aurc",
        "auroc_errors",
        "coverage_no_error",
        "coverage_one_error_in_1000",
        "n_no_digit",
        "auroc_no_digit",
    ),
]


def names(folder: Path) -> set[str]:
    """Of what lies in a folder."""
    return {path.name for path in folder.iterdir()}
