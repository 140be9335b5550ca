"""What an API server's answer means in the words of the Cluster protocol."""

from __future__ import annotations

from typing import Any

from foreman.cluster import AlreadyExists, ClusterError, Conflict, Expired, Forbidden, Invalid, NotFound, Unavailable
from foreman.kube.connection import Reply

_BY_STATUS: dict[int, type[ClusterError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    406: Invalid,
    409: Conflict,
    410: Expired,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}


def refusal(reply: Reply) -> ClusterError:
    """The error that a reply other than 2xx stands for, with the server's own message."""
    return refusal_of(reply.status, reply.data)


def refusal_of(status: int, data: Any) -> ClusterError:
    """The same for a Status object that came with `status`, in an answer or in a watch."""
    said = data if isinstance(data, dict) else {"message": data}
    message = str(said.get("message") or f"the server answered {status}")
    if status == 401:
        message = f"the API server does not accept our credentials: {message}"
    if status == 409 and said.get("reason") == "AlreadyExists":
        return AlreadyExists(message)
    return _BY_STATUS.get(status, Unavailable)(message)


def may_repeat(method: str, status: int) -> bool:
    """Whether a refused request may be sent again as it is.

    429 says it was not carried out. After a 5xx a write may have been, so only reads are repeated.
    """
    return status == 429 or (status >= 500 and method == "GET")
