"""The description of the service in /openapi.json: every endpoint, what it takes and answers.

Limits come in, a document of dicts goes out.
"""

from typing import Any

Json = dict[str, Any]

ERRORS = {
    400: "The request, the form, the JSON or a parameter is malformed, or the picture is empty.",
    404: "There is no such page, model or version, or the service is not set up to do this.",
    405: "The path takes other methods, which the header Allow names.",
    408: "The request did not arrive in time.",
    413: "The body has too many bytes, or the picture too many pixels.",
    415: "The body is of a type or format that is not read here.",
    422: "The picture is cut short or damaged, or does not have the digit that is meant.",
    431: "The headers are too large.",
    500: "The service has failed.",
    501: "The service cannot look inside: a library is missing, or the model is built unusually.",
    503: "The service is not ready, or busy; the header Retry-After says when to come back.",
    504: "Reading took too long.",
    507: "There is no more room for corrections.",
}
ALWAYS = (400, 405, 408, 431, 500)
READING = (413, 503, 504)


def _list(items: Json, **limits: Any) -> Json:
    """Describe an array of such items."""
    return {"type": "array", "items": items, **limits}


def _object(properties: Json, *optional: str) -> Json:
    """Describe an object with these properties, of which some are optional."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _string(description: str, **more: str) -> Json:
    return {"type": "string", "description": description, **more}


def _integer(description: str) -> Json:
    return {"type": "integer", "description": description}


def _number(description: str) -> Json:
    return {"type": "number", "description": description}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _shape(description: str) -> Json:
    """Describe the shape of an array with three axes."""
    return _list(WHOLE, minItems=3, maxItems=3, description=description)


BINARY = {"type": "string", "format": "binary"}
STRING = {"type": "string"}
WHOLE = {"type": "integer"}
DIGIT = {"type": "integer", "minimum": 0, "maximum": 9}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
CHANGE = {"type": "number", "minimum": -1, "maximum": 1}
PROBABILITIES = {"minItems": 10, "maxItems": 10}

SCHEMAS: Json = {
    "Error": _object({"error": _object({"code": STRING, "message": STRING})}),
    "State": _object({"status": STRING}),
    "Digit": _object(
        {
            "digit": DIGIT,
            "confidence": SHARE
            | {"description": "The calibrated probability that the digit is right."},
            "accepted": {"type": "boolean"},
            "box": _list(
                WHOLE,
                minItems=4,
                maxItems=4,
                description="Left, top, right, bottom; pixels of the upright picture.",
            ),
            "reason": _string("Why it was not accepted."),
            "probabilities": _list(
                SHARE, **PROBABILITIES, description="Of the digits 0 to 9; with explain=true."
            ),
            "field": _string(
                "What the network saw: 28 rows of 28 bytes, paper 0 to ink 255; with explain=true.",
                contentEncoding="base64",
            ),
        },
        *("reason", "probabilities", "field"),
    ),
    "Reading": _object(
        {
            "text": _string("The accepted digits; lines of writing are separated by line feeds."),
            "digits": _list(_ref("Digit")),
            "warnings": _list(STRING),
            "error": {"type": "null"},
        }
    ),
    "Inside": _object(
        {
            "probabilities": _list(SHARE, **PROBABILITIES),
            "occlusion": _list(
                _list(CHANGE, minItems=28, maxItems=28),
                minItems=28,
                description="28 rows of 28: how much the best digit's probability falls where "
                "paper covers the pixel.",
            ),
            "layers": _list(_ref("Layer")),
        }
    ),
    "Layer": _object(
        {
            "name": STRING,
            "shape": _shape("Maps, and the height and width of each."),
            "shown": _integer("How many of the maps are here: the first ones."),
            "lowest": _number("The value of a byte 0."),
            "highest": _number("The value of a byte 255."),
            "maps": _string("The maps, one after the other, row by row.", contentEncoding="base64"),
        }
    ),
    "Stored": _object(
        {"stored": {"const": True}, "count": _integer("How many corrections there are.")}
    ),
    "Inference": _object(
        {
            "id": STRING,
            "inputs": _list(
                _object(
                    {
                        "name": {"const": "images"},
                        "datatype": {"const": "UINT8"},
                        "shape": _shape("[N, 28, 28]"),
                        "data": {
                            "type": "array",
                            "description": "Whole numbers from 0 to 255, flat or nested as the "
                            "shape is.",
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

JSON: Json = {"application/json": {}}
FIELD = {
    "application/octet-stream": {"schema": BINARY | {"minLength": 784, "maxLength": 784}},
}
PICTURE: Json = {
    "image/png": {"schema": BINARY},
    "image/jpeg": {"schema": BINARY},
    "image/webp": {"schema": BINARY},
    "image/gif": {"schema": BINARY},
    "image/bmp": {"schema": BINARY},
    "application/octet-stream": {"schema": BINARY},
    "multipart/form-data": {"schema": _object({"file": BINARY})},
}


def describe(version: str, max_body: int, max_json: int) -> Json:
    """Describe the service as an OpenAPI 3.1 document.

    Args:
        version: that of the package.
        max_body: bytes that the body of a picture may have.
        max_json: bytes that the body of an array may have.
    """
    files = {"text/javascript": {}, "text/css": {}}
    file = _path("file", "Its name.")
    paths = {
        "/": _get("The draw page.", {"text/html": {}}, 404),
        "/page/{file}": _get("A file of the draw page.", files, 404, parameters=[file]),
        "/healthz": _get("Whether the process is alive.", _schema("State")),
        "/readyz": _get(
            "Whether pictures can be read: the self-test was passed.", _schema("State"), 503
        ),
        "/metrics": _get("Counters in Prometheus' text format.", {"text/plain": {}}),
        "/openapi.json": _get("This document.", JSON),
        "/v1/read": {"post": _read(max_body)},
        "/v1/inside": {"post": _inside()},
        "/v1/feedback": {"post": _feedback(max_body)},
        "/v2": _get("The server, as the Open Inference Protocol has it.", JSON),
        "/v2/health/live": _get("Whether the process is alive.", JSON),
        "/v2/health/ready": _get("Whether arrays can be classified.", JSON, 503),
    }

    name = _path("name", "The model's name.")
    number = _path("version", "The model's version: 1.")
    for path, parameters in (
        ("/v2/models/{name}", [name]),
        ("/v2/models/{name}/versions/{version}", [name, number]),
    ):
        paths[path] = _get("A model's inputs and outputs.", JSON, 404, parameters=parameters)
        paths[f"{path}/ready"] = _get(
            "Whether a model can be used.", JSON, 404, 503, parameters=parameters
        )
        paths[f"{path}/infer"] = {"post": _infer(max_json, parameters)}

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "inkdigits",
            "version": version,
            "description": "Reads handwritten digits.",
            "license": {"name": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _read(max_body: int) -> Json:
    return _operation(
        f"Read the digits in a picture of at most {max_body:,} bytes.",
        _schema("Reading"),
        (*ALWAYS, 415, 422, *READING),
        parameters=[
            _flag("single", "The picture holds at most one digit."),
            _flag(
                "explain",
                "Each digit also carries its probabilities, and the 28x28 pixels that the network "
                "saw.",
            ),
        ],
        body=PICTURE,
    )


def _inside() -> Json:
    return _operation(
        "Look inside the network while it sees a field: what each layer makes of it, and which "
        "pixels mattered.",
        _schema("Inside"),
        (*ALWAYS, 415, *READING, 501),
        parameters=[],
        body=FIELD,
    )


def _feedback(max_body: int) -> Json:
    label = {
        "name": "label",
        "in": "query",
        "required": True,
        "description": "What it is.",
        "schema": DIGIT,
    }
    box = {
        "name": "box",
        "in": "query",
        "description": "Which digit: left,top,right,bottom, as /v1/read gives them. Not needed "
        "where there is only one.",
        "schema": {"type": "string", "pattern": r"^\d{1,9}(,\d{1,9}){3}$"},
    }
    return _operation(
        f"Say what a digit in a picture of at most {max_body:,} bytes is, and have it stored; "
        "where the service collects.",
        _schema("Stored"),
        (*ALWAYS, 404, 415, 422, *READING, 507),
        parameters=[label, box],
        body=PICTURE,
    )


def _infer(max_json: int, parameters: list[Json]) -> Json:
    return _operation(
        "Classify images, uint8 (N, 28, 28), ink 255 on paper 0, in at most "
        f"{max_json:,} bytes of JSON.",
        _schema("Inferred"),
        (*ALWAYS, 404, *READING),
        parameters=parameters,
        body=_schema("Inference"),
    )


def _get(summary: str, content: Json, *errors: int, parameters: list[Json] | None = None) -> Json:
    """Describe an endpoint that is only read."""
    return {"get": _operation(summary, content, (*ALWAYS, *errors), parameters or [])}


def _operation(
    summary: str,
    content: Json,
    errors: tuple[int, ...],
    parameters: list[Json],
    body: Json | None = None,
) -> Json:
    """Describe an endpoint: what it does, takes and answers, and the errors that it may answer."""
    responses: Json = {"200": {"description": "All well.", "content": content}}
    for status in sorted(errors):
        responses[str(status)] = {"description": ERRORS[status], "content": _schema("Error")}

    operation: Json = {"summary": summary, "parameters": parameters, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _path(name: str, text: str) -> Json:
    """Describe a part of the path."""
    return {"name": name, "in": "path", "required": True, "description": text, "schema": STRING}


def _flag(name: str, text: str) -> Json:
    """Describe a parameter that is true or false."""
    schema = {"type": "boolean", "default": False}
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _schema(name: str) -> Json:
    """Describe a body of JSON."""
    return {"application/json": {"schema": _ref(name)}}
