"""The description of the service that /openapi.json serves.

The file openapi.json describes every endpoint: what it takes, answers and refuses. Here the version
and the limits are filled in, and the errors that every endpoint may answer.
"""

import json
from pathlib import Path
from typing import Any

DESCRIPTION = Path(__file__).with_name("openapi.json")
ALWAYS = (400, 405, 408, 421, 431, 500)  # the statuses of errors that every endpoint may answer


def describe(version: str, max_body: int, max_json: int) -> dict[str, Any]:
    """Describe the service as an OpenAPI 3.1 document.

    Args:
        version: that of the package.
        max_body: bytes that the body of a picture may have.
        max_json: bytes that the body of an array may have.
    """
    text = DESCRIPTION.read_text(encoding="utf-8")
    text = text.replace("{max_body}", f"{max_body:,}").replace("{max_json}", f"{max_json:,}")
    document: dict[str, Any] = json.loads(text)

    document["info"]["version"] = version
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.setdefault("parameters", [])
            for status in ALWAYS:
                response = {"$ref": f"#/components/responses/{status}"}
                operation["responses"][str(status)] = response

    return document
