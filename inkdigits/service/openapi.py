"""The description of the service that /openapi.json serves: every endpoint, what it takes, and every answer that it can give.

A document made of dicts. Knows nothing of what happens behind the endpoints.
"""

from typing import Any

Json = dict[str, Any]

BINARY = {"type": "string", "format": "binary"}
DIGIT = {"type": "integer", "minimum": 0, "maximum": 9}
PICTURES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "image/bmp",
    "application/octet-stream",
)
FORM = {"type": "object", "required": ["file"], "properties": {"file": BINARY}}
PICTURE: Json = {kind: {"schema": BINARY} for kind in PICTURES} | {
    "multipart/form-data": {"schema": FORM}
}
ERRORS = {
    400: "The request, the form, the JSON or a parameter is not as it should be, or the picture is empty.",
    404: "There is no such page, model or version, or this is not done here.",
    405: "The path takes other methods, which Allow names.",
    408: "The request did not arrive in time.",
    413: "The body has too many bytes, or the picture too many pixels.",
    415: "The body is of a type or format that is not read here.",
    422: "The picture is cut short or damaged, or has not the digit that is meant.",
    431: "The headers are too large.",
    500: "A fault of the service.",
    501: "Nobody can look inside here: a library is missing, or the model is built unusually.",
    503: "The service is not ready, or busy; Retry-After says when to come back.",
    504: "Reading took too long.",
    507: "There is no more room for corrections.",
}
ALWAYS = (400, 405, 408, 431, 500)
READING = (413, 503, 504)


def describe(version: str, max_body: int, max_json: int) -> Json:
    """The OpenAPI 3.1 document. max_body, max_json: bytes of a picture's and an array's request."""
    models = [("/v2/models/{name}", [_path("name", "The model's name.")])]
    models += [
        (f"{path}/versions/{{version}}", [*of, _path("version", "The model's version: 1.")])
        for path, of in models
    ]
    paths = {
        "/": _get("The draw page.", {"text/html": {}}, 404),
        "/page/{file}": _get(
            "A file of the draw page.",
            {"text/javascript": {}, "text/css": {}},
            404,
            of=[_path("file", "Its name.")],
        ),
        "/healthz": _get("Whether the process is alive.", _schema("State")),
        "/readyz": _get(
            "Whether pictures can be read: the self-test was passed.", _schema("State"), 503
        ),
        "/metrics": _get("Counters in Prometheus' text format.", {"text/plain": {}}),
        "/openapi.json": _get("This document.", {"application/json": {}}),
        "/v1/read": {"post": _read(max_body)},
        "/v1/inside": {"post": _inside()},
        "/v1/feedback": {"post": _feedback(max_body)},
        "/v2": _get(
            "The server, as the Open Inference Protocol wants it.", {"application/json": {}}
        ),
        "/v2/health/live": _get("Whether the process is alive.", {"application/json": {}}),
        "/v2/health/ready": _get(
            "Whether arrays can be classified.", {"application/json": {}}, 503
        ),
    }
    for path, of in models:
        paths[path] = _get("A model's inputs and outputs.", {"application/json": {}}, 404, of=of)
        paths[f"{path}/ready"] = _get(
            "Whether a model can be used.", {"application/json": {}}, 404, 503, of=of
        )
        paths[f"{path}/infer"] = {"post": _infer(max_json, of)}
    info = {
        "title": "inkdigits",
        "version": version,
        "description": "Reads handwritten digits.",
        "license": {"name": "MIT"},
    }
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": SCHEMAS}}


def _read(max_body: int) -> Json:
    return _operation(
        f"Read the digits in a picture of at most {max_body:,} bytes.",
        _schema("Reading"),
        (*ALWAYS, 415, 422, *READING),
        parameters=[
            _query("single", "The picture holds at most one digit."),
            _query(
                "explain",
                "Each digit also carries its probabilities, and the 28x28 pixels that the network saw.",
            ),
        ],
        body=PICTURE,
    )


def _inside() -> Json:
    text = "Look inside the network while it sees a field: what each layer makes of it, and which pixels mattered."
    body = {"application/octet-stream": {"schema": BINARY | {"minLength": 784, "maxLength": 784}}}
    return _operation(
        text, _schema("Inside"), (*ALWAYS, 415, *READING, 501), parameters=[], body=body
    )


def _feedback(max_body: int) -> Json:
    return _operation(
        f"Say what a digit in a picture of at most {max_body:,} bytes is, and have it stored; where the service collects.",
        _schema("Stored"),
        (*ALWAYS, 404, 415, 422, *READING, 507),
        parameters=[
            {
                "name": "label",
                "in": "query",
                "required": True,
                "description": "What it is.",
                "schema": DIGIT,
            },
            {
                "name": "box",
                "in": "query",
                "description": "Which digit: left,top,right,bottom, as /v1/read gives them. Not needed where there is only one.",
                "schema": {"type": "string", "pattern": r"^\d{1,9}(,\d{1,9}){3}$"},
            },
        ],
        body=PICTURE,
    )


def _infer(max_json: int, of: list[Json]) -> Json:
    text = f"Classify images, uint8 (N, 28, 28), ink 255 on paper 0, in at most {max_json:,} bytes of JSON."
    return _operation(
        text,
        _schema("Inferred"),
        (*ALWAYS, 404, *READING),
        parameters=of,
        body=_schema("Inference"),
    )


def _get(summary: str, content: Json, *errors: int, of: list[Json] | None = None) -> Json:
    return {"get": _operation(summary, content, (*ALWAYS, *errors), parameters=of or [])}


def _operation(
    summary: str,
    content: Json,
    errors: tuple[int, ...],
    parameters: list[Json],
    body: Json | None = None,
) -> Json:
    refusals = {
        str(status): {"description": ERRORS[status], "content": _schema("Error")}
        for status in sorted(errors)
    }
    answers = {"200": {"description": "All well.", "content": content}, **refusals}
    operation: Json = {"summary": summary, "parameters": parameters, "responses": answers}
    return (
        operation
        if body is None
        else operation | {"requestBody": {"required": True, "content": body}}
    )


def _path(name: str, text: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": text,
        "schema": {"type": "string"},
    }


def _query(name: str, text: str) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "schema": {"type": "boolean", "default": False},
    }


def _schema(name: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _object(properties: Json, *optional: str) -> Json:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _list(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


STRING, WHOLE, SHARE = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "number", "minimum": 0, "maximum": 1},
)
SCHEMAS: Json = {
    "Error": _object({"error": _object({"code": STRING, "message": STRING})}),
    "State": _object({"status": STRING}),
    "Digit": _object(
        {
            "digit": DIGIT,
            "confidence": SHARE
            | {"description": "The calibrated probability that the digit is right."},
            "accepted": {"type": "boolean"},
            "box": _list(WHOLE, minItems=4, maxItems=4)
            | {"description": "Left, top, right, bottom; pixels of the upright picture."},
            "reason": STRING | {"description": "Why it was not accepted."},
            "probabilities": _list(SHARE, minItems=10, maxItems=10)
            | {"description": "Of the digits 0 to 9; with explain=true."},
            "field": STRING
            | {
                "contentEncoding": "base64",
                "description": "What the network saw: 28 rows of 28 bytes, paper 0 to ink 255; with explain=true.",
            },
        },
        *("reason", "probabilities", "field"),
    ),
    "Reading": _object(
        {
            "text": STRING
            | {"description": "The accepted digits; lines of writing are separated by line feeds."},
            "digits": _list({"$ref": "#/components/schemas/Digit"}),
            "warnings": _list(STRING),
            "error": {"type": "null"},
        }
    ),
    "Inside": _object(
        {
            "probabilities": _list(SHARE, minItems=10, maxItems=10),
            "occlusion": _list(
                _list({"type": "number", "minimum": -1, "maximum": 1}, minItems=28, maxItems=28),
                minItems=28,
            )
            | {
                "description": "28 rows of 28: how much the best digit's probability falls where paper covers the pixel."
            },
            "layers": _list({"$ref": "#/components/schemas/Layer"}),
        }
    ),
    "Layer": _object(
        {
            "name": STRING,
            "shape": _list(WHOLE, minItems=3, maxItems=3)
            | {"description": "Maps, and the height and width of each."},
            "shown": WHOLE | {"description": "How many of the maps are here: the first ones."},
            "lowest": {"type": "number", "description": "The value of a byte 0."},
            "highest": {"type": "number", "description": "The value of a byte 255."},
            "maps": STRING
            | {
                "contentEncoding": "base64",
                "description": "The maps, one after the other, row by row.",
            },
        }
    ),
    "Stored": _object(
        {
            "stored": {"const": True},
            "count": WHOLE | {"description": "How many corrections there are."},
        }
    ),
    "Inference": _object(
        {
            "id": STRING,
            "inputs": _list(
                _object(
                    {
                        "name": {"const": "images"},
                        "datatype": {"const": "UINT8"},
                        "shape": _list(WHOLE, minItems=3, maxItems=3)
                        | {"description": "[N, 28, 28]"},
                        "data": {
                            "type": "array",
                            "description": "Whole numbers from 0 to 255, flat or nested as the shape is.",
                        },
                    }
                ),
                minItems=1,
                maxItems=1,
            ),
            "outputs": _list(_object({"name": {"const": "probabilities"}})),
        },
        *("id", "outputs"),
    ),
    "Inferred": _object(
        {
            "model_name": STRING,
            "model_version": STRING,
            "id": STRING,
            "outputs": _list(
                _object(
                    {
                        "name": STRING,
                        "datatype": STRING,
                        "shape": _list(WHOLE),
                        "data": _list(SHARE),
                    }
                )
            ),
        },
        "id",
    ),
}
