"""Labelled images from a folder: one folder of picture files a class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_registry import InvalidTask, MissingExtra, NotFound, Tensor, Type, parse_type

try:
    from PIL import Image, UnidentifiedImageError
except ImportError:
    Image = None  # type: ignore[assignment]

Ink: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""From brightness in [0, 1] to ink, high where there is something."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
_MODES = {1: "L", 3: "RGB"}


def bright(brightness: torch.Tensor) -> torch.Tensor:
    """What is bright is ink: photographs, and white on black."""
    return brightness


def dark(brightness: torch.Tensor) -> torch.Tensor:
    """What is dark is ink: writing on white paper."""
    return 1 - brightness


def read_folder(
    path: str | Path, type_: Type | str, ink: Ink = bright, dataset: str | None = None
) -> LabelledArrays:
    """Read a folder of folders of pictures; each inner folder is a class, named after it.

    `type_` is `image[1,h,w]` (grey) or `image[3,h,w]` (colour); pictures are converted and
    resized to it, by averaging areas.  Files that are no pictures by their suffix and hidden files
    are left out.  Raises NotFound, InvalidTask, and MissingExtra without Pillow.
    """
    if Image is None:
        raise MissingExtra("pictures are read with Pillow, which is missing: metaloom[images]")
    wanted = parse_type(type_) if isinstance(type_, str) else type_
    shape = _shape(wanted)
    path = Path(path)
    if not path.is_dir():
        raise NotFound(f"there is no folder {path}")
    folders = sorted(one for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    files = [(_pictures(folder), folder.name) for folder in folders]
    classes = [(found, name) for found, name in files if found]
    if len(classes) < 2:
        raise InvalidTask(
            f"the folder {path.name} has {len(classes)} folders with pictures; wanted is one a "
            "class, and at least two"
        )
    images = [_read(file, shape) for found, _ in classes for file in found]
    counts = torch.tensor([len(found) for found, _ in classes])
    return LabelledArrays(
        ink(torch.stack(images)),
        torch.arange(len(classes)).repeat_interleave(counts),
        tuple(name for _, name in classes),
        dataset or path.name,
    )


def _shape(wanted: Type) -> tuple[int, int, int]:
    if isinstance(wanted, Tensor) and wanted.kind == "image" and len(wanted.dimensions) == 3:
        channels, height, width = wanted.dimensions
        if channels in _MODES and isinstance(height, int) and isinstance(width, int):
            return (1 if channels == 1 else 3), height, width
    raise InvalidTask(f"pictures are read as image[1,h,w] or image[3,h,w], not as {wanted}")


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and file.name[0] != "." and file.is_file()
    )


def _read(file: Path, shape: tuple[int, int, int]) -> torch.Tensor:
    channels, height, width = shape
    try:
        with Image.open(file) as opened:
            picture: Any = opened.convert(_MODES[channels])
            picture = picture.resize((width, height), Image.Resampling.BOX)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidTask(
            f"{file.parent.name}/{file.name} is no picture that can be read: {error}"
        ) from None
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.reshape(height, width, channels).permute(2, 0, 1).float() / 255
