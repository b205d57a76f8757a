"""What the OpenAPI schema says beyond what views and serializers tell it: refusals and uploads."""

from typing import Any

_MESSAGE = {
    "type": "object",
    "description": "Why it was refused, for people.",
    "properties": {"detail": {"type": "string"}},
    "required": ["detail"],
}
_INVALID = {
    "type": "object",
    "description": "What is wrong with which field, for people; `detail` concerns no single field.",
    "additionalProperties": {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "object"}]
    },
}
_REFUSALS = {
    "400": ("InvalidInput", "The input makes no sense; nothing was changed."),
    "401": ("Refusal", "Not signed in, or the token is not valid."),
    "403": ("Refusal", "Signed in, but not allowed."),
    "404": ("Refusal", "There is no such object in your teams."),
    "409": ("Refusal", "Not possible in the state that the object is in."),
}
#: Operations that depend on the state of their object.
_STATEFUL = {"videos_destroy", "classifiers_destroy", "verifications_destroy", "verifications_cancel_create"}


def complete(result: dict[str, Any], generator: object, **options: object) -> dict[str, Any]:
    """Postprocessing hook of drf-spectacular: add refusals to every operation, and the tus endpoints."""
    schemas = result["components"]["schemas"]
    schemas |= {"Refusal": _MESSAGE, "InvalidInput": _INVALID}
    for operations in result["paths"].values():
        for operation in operations.values():
            _add_refusals(operation)
    result["paths"] |= _upload_paths()
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _add_refusals(operation: dict[str, Any]) -> None:
    parameters = operation.get("parameters", [])
    statuses = ["401", "403"]
    if "requestBody" in operation or any(parameter["name"] == "after" for parameter in parameters):
        statuses.append("400")
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses.append("404")
    if operation["operationId"] in _STATEFUL:
        statuses.append("409")
    for status in sorted(statuses):
        component, description = _REFUSALS[status]
        operation["responses"].setdefault(status, _refusal(component, description))


def _refusal(component: str, description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{component}"}
    return {"content": {"application/json": {"schema": schema}}, "description": description}


#: Of every upload operation.
_REFUSED_UPLOADS = {"401": "Not signed in.", "412": "This server speaks tus 1.0.0 only."}
_NOT_YOURS = {"404": "There is no such upload of yours."}


def _header(name: str, description: str, kind: str = "string", required: bool = True) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "schema": {"type": kind},
        "required": required,
        "description": description,
    }


def _operation(name: str, description: str, headers: list[Any], responses: dict[str, str]) -> dict[str, Any]:
    """One tus operation: everything that matters is in headers."""
    return {
        "operationId": f"uploads_{name}",
        "description": description,
        "parameters": [_header("Tus-Resumable", "1.0.0"), *headers],
        "tags": ["uploads"],
        "security": [{"bearer": []}, {"session": []}],
        "responses": {status: {"description": text} for status, text in sorted((responses | _REFUSED_UPLOADS).items())},
    }


_NOT_YOURS = {"404": "There is no such upload of yours."}


def _upload_paths() -> dict[str, Any]:
    """The tus 1.0 core as served beside this API; any tus client speaks it."""
    identity = {"in": "path", "name": "id", "schema": {"type": "string", "format": "uuid"}, "required": True}
    create = _operation(
        "create",
        "Begin an upload. `Upload-Metadata` holds pairs of a name and a base64 value: filename, kind (video or "
        "classifier), team (its id; may be left out by who has one team). A classifier may add what its file lacks: "
        "architecture, labels (a JSON list), frames, size (HxW), channels, sampling, order (of the axes, such as ntchw), range "
        "(0..1, 0..255 or -1..1), mean and std (three numbers). With `hold` (any text) it is not kept when it is complete: "
        "proposal/ says what the engine makes of it, save/ keeps it. A video may add class_name.",
        [
            _header("Upload-Length", "Bytes of the whole file.", "integer"),
            _header("Upload-Metadata", "For example: filename Y2xpcC5tcDQ=,kind dmlkZW8="),
        ],
        {
            "201": "`Location` says where the bytes go.",
            "400": "The headers make no sense; the body says why.",
            "413": "The file is larger than this server takes.",
        },
    )
    append = _operation(
        "append",
        "Send the bytes from `Upload-Offset` on. With the last byte the file is inspected and kept.",
        [identity, _header("Upload-Offset", "Where the sent bytes begin.", "integer")],
        {
            "204": "`Upload-Offset` says how many bytes are there; `Upload-Result` what a complete file has become.",
            "400": "The headers make no sense; the body says why.",
            "409": "The offset is not where the upload stands.",
            "415": "The bytes must come as application/offset+octet-stream.",
            "422": "The file cannot be used; the body says why. The upload is gone.",
            "423": "Another request is sending bytes right now.",
        }
        | _NOT_YOURS,
    )
    append["requestBody"] = {
        "required": True,
        "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
    state = _operation("state", "How far it is.", [identity], {"200": "`Upload-Offset` says it."} | _NOT_YOURS)
    abort = _operation("abort", "Give up an upload and its bytes.", [identity], {"204": "It is gone."} | _NOT_YOURS)
    return {
        "/api/v1/uploads/": {"post": create},
        "/api/v1/uploads/{id}/": {"head": state, "patch": append, "delete": abort},
    }
