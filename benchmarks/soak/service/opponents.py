"""Other services that read one 28x28 picture with the weights of `default`.

    python -m benchmarks.soak.service.opponents fastapi --port 8001

One is as tutorials write it, two are on LitServe. They do less than ours: the picture is decoded,
divided by 255 and given to the network; nothing is looked for in it, and nothing is limited.
"""

import argparse
import io
from collections.abc import Callable
from typing import Any

import litserve as ls
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from torch import Tensor, nn

from inkdigits.reading.model_files import DEFAULT_MODEL, shipped_folder
from inkdigits.runs.checkpoint import load_checkpoint


def network() -> nn.Module:
    """Load the network of `default`, ready to read."""
    folder = shipped_folder(DEFAULT_MODEL)
    assert folder is not None
    return load_checkpoint(folder).network.eval()


def to_tensor(data: bytes) -> Tensor:
    """Decode a grey picture as torchvision's ToTensor does: (1, 1, 28, 28) float32, 0 to 1.

    The network normalises.
    """
    image = Image.open(io.BytesIO(data)).convert("L").resize((28, 28))
    return torch.from_numpy(np.array(image)).to(torch.float32).div(255)[None, None]


def answer(probabilities: Tensor) -> dict[str, Any]:
    """Return the digit and its probability."""
    confidence, digit = probabilities[:10].max(0)
    return {"digit": int(digit), "confidence": float(confidence)}


def fastapi(port: int) -> None:
    """Serve a route that decodes and predicts as tutorials do: eager, in the event loop."""
    app, model = FastAPI(), network()

    async def predict(request: Request) -> dict[str, Any]:
        image = to_tensor(await request.body())
        with torch.no_grad():
            return answer(model(image).softmax(1)[0])

    app.post("/predict")(predict)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


class Digits(ls.LitAPI):  # type: ignore[misc]
    """The same for LitServe, which predicts in a process of its own and takes files as forms."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.network = network()

    def decode_request(self, request: Request) -> Tensor:
        form: Any = request  # parsed already
        return to_tensor(form["file"].file.read())

    def predict(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network(image).softmax(1)[0]

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        return answer(output)


class ManyDigits(Digits):
    """The same in batches."""

    def decode_request(self, request: Request) -> Tensor:
        return super().decode_request(request)[0]

    def predict(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network(image).softmax(1)


def litserve(api: ls.LitAPI, port: int) -> None:
    """Serve one of these."""
    quiet = {"log_level": "warning", "generate_client_file": False, "access_log": False}
    ls.LitServer(api, accelerator="cpu").run(host="127.0.0.1", port=port, **quiet)


SERVICES: dict[str, Callable[[int], None]] = {
    "fastapi": fastapi,
    "litserve": lambda port: litserve(Digits(), port),
    "litserve-batches": lambda port: litserve(
        ManyDigits(max_batch_size=16, batch_timeout=0.002), port
    ),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=SERVICES)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    SERVICES[options.name](options.port)
