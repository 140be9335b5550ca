"""The images of a task, out of its workspace: read like any other file of it, under a cap each and all together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from foreman.api.agent import Vision
from foreman.executors.loop.pictures import Picture, picture
from foreman.executors.tools.workspace import Refused, Workspace

IMAGE_BYTES, IMAGES = 4 << 20, 4


class Unseen(ValueError):
    """An image that the model cannot be shown: which, and why."""


def shown(workspace: Workspace, paths: Sequence[str], vision: Vision | None) -> Iterator[Picture]:
    """Nothing to an Agent without vision. Raises Unseen."""
    if vision is None or not vision.enabled or not paths:
        return
    most = vision.max_images or IMAGES
    if len(paths) > most:
        raise Unseen(f"payload.images: {len(paths)} images, the Agent takes {most} (spec.vision.maxImages)")
    for path in paths:
        yield _read(workspace, path, vision.max_image_bytes or IMAGE_BYTES)


def _read(workspace: Workspace, path: str, limit: int) -> Picture:
    """`limit` is of the base64."""
    try:
        with os.fdopen(workspace.open_file(path), "rb") as file:
            data = file.read(limit + 1)
    except Refused as error:
        raise Unseen(f"payload.images: {error}") from None
    except OSError as error:
        raise Unseen(f"payload.images: {path}: {(error.strerror or str(error)).lower()}") from None
    made = picture(path, data)
    if made is None:
        raise Unseen(f"payload.images: {path} is no PNG, JPEG, GIF or WebP")
    if len(made.encoded) > limit:
        raise Unseen(f"payload.images: {path} is longer than {limit} bytes in base64 (spec.vision.maxImageBytes)")
    return made
