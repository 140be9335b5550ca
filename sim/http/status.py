"""What an API server answers when it does not do as asked: Status objects in the words of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]


class Cause(NamedTuple):
    """One thing wrong with one field; `reason` is one of metav1's CauseType, e.g. 'FieldValueInvalid'."""

    reason: str
    field: str
    message: str


class Refusal(Exception):
    """An answer that is a Status with status Failure. `reason` '' is Go's StatusReasonUnknown."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = None if details is None else dict(details)
        self.continue_token = ""

    @property
    def retry_after(self) -> int:
        return int((self.details or {}).get("retryAfterSeconds", 0))

    def body(self) -> Json:
        metadata = {"continue": self.continue_token} if self.continue_token else {}
        made: Json = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure"}
        made["message"] = self.message
        if self.reason:
            made["reason"] = self.reason
        if self.details is not None:
            made["details"] = self.details
        return made | {"code": self.code}


class Name(NamedTuple):
    """What a Status calls the thing it is about: a resource ('agentictasks') or a kind ('AgenticTask') of a group."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def details(self, name: str = "", **more: Any) -> Json:
        told = {"name": name, "group": self.group, "kind": self.kind, **more}
        return {key: value for key, value in told.items() if value}


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def internal(message: str) -> Refusal:
    """An error that Kubernetes does not classify: 500 without a reason."""
    return Refusal(500, "", message)


def not_found(resource: Name, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{resource} "{name}" not found', resource.details(name))


def already_exists(resource: Name, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{resource} "{name}" already exists', resource.details(name))


def conflict(resource: Name, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, resource.details(name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: Name, name: str, causes: Sequence[Cause]) -> Refusal:
    """422 with every cause; the message tells each only once."""
    told = list(dict.fromkeys(f"{each.field}: {each.message}" for each in causes))
    what = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    listed = [{"reason": each.reason, "message": each.message, "field": each.field} for each in causes]
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {what}', kind.details(name, causes=listed))


def forbidden(resource: Name, name: str, why: str) -> Refusal:
    which = f'{resource} "{name}"' if name else str(resource)
    return Refusal(403, "Forbidden", f"{which} is forbidden: {why}", resource.details(name))


def expired(message: str) -> Refusal:
    return Refusal(410, "Expired", message)


def too_old(asked: int, oldest: int) -> Refusal:
    return expired(f"too old resource version: {asked} ({oldest})")


def too_new(asked: int, current: int) -> Refusal:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return Refusal(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def unsupported_media(accepted: str) -> Refusal:
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return Refusal(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: str) -> Refusal:
    return Refusal(406, "NotAcceptable", f"only the following media types are accepted: {accepted}")


def method_not_allowed() -> Refusal:
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_supported(resource: Name, verb: str) -> Refusal:
    message = f'{verb} is not supported on resources of kind "{resource}"'
    return Refusal(405, "MethodNotAllowed", message, resource.details())


def throttled(seconds: int = 1) -> Refusal:
    why = "Too many requests, please try again later."
    return Refusal(429, "TooManyRequests", why, {"retryAfterSeconds": seconds})


def success(details: Mapping[str, Any]) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": dict(details)}
