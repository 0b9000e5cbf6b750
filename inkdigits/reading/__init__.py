"""A picture comes in, a Reading goes out. This room imports neither torch nor datasets."""

import os

# ONNX Runtime 1.31 would send to its makers what it is used for, under a number that it keeps in
# the user's home. It looks at this when it is imported, which only this room and later ones do.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
