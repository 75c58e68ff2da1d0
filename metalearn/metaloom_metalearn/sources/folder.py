"""Labelled images from a folder: one folder of picture files a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    path: str | Path,
    type_: Type | str,
    ink: Ink = bright,
    dataset: str | None = None,
    only: Sequence[str] | None = None,
) -> LabelledArrays:
    """Read a folder of folders of pictures; each inner folder is a class, named after it.

    `type_` is `image[1,h,w]` (grey) or `image[3,h,w]` (colour); pictures are converted and
    resized to it, by averaging areas.  Files that are no pictures by their suffix and hidden files
    are left out.  `only` are the folders to read, by default all.  Raises NotFound, InvalidTask,
    and MissingExtra without Pillow.
    """
    shape = shape_of(parse_type(type_) if isinstance(type_, str) else type_)
    path = Path(path)
    if not path.is_dir():
        raise NotFound(f"there is no folder {path}")
    folders = sorted(one for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    if only is not None:
        missing = set(only) - {folder.name for folder in folders}
        if missing:
            raise NotFound(f"the folder {path.name} has no folder {sorted(missing)[0]}")
        folders = [folder for folder in folders if folder.name in set(only)]
    files = [(_pictures(folder), folder.name) for folder in folders]
    classes = [(found, name) for found, name in files if found]
    if len(classes) < 2:
        raise InvalidTask(
            f"the folder {path.name} has {len(classes)} folders with pictures; wanted is one a "
            "class, and at least two"
        )
    images = [read_picture(file, shape) for found, _ in classes for file in found]
    counts = torch.tensor([len(found) for found, _ in classes])
    return LabelledArrays(
        ink(torch.stack(images)),
        torch.arange(len(classes)).repeat_interleave(counts),
        tuple(name for _, name in classes),
        dataset or path.name,
    )


def shape_of(wanted: Type) -> tuple[int, int, int]:
    """Channels, height and width of an image type that pictures can be read as."""
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


def read_picture(file: Path, shape: tuple[int, int, int]) -> torch.Tensor:
    """The pixels of a picture file. Raises InvalidTask, and MissingExtra without Pillow."""
    if Image is None:
        raise MissingExtra("pictures are read with Pillow, which is missing: metaloom[images]")
    try:
        with Image.open(file) as opened:
            return pixels(opened, shape)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidTask(
            f"{file.parent.name}/{file.name} is no picture that can be read: {error}"
        ) from None


def pixels(picture: Any, shape: tuple[int, int, int]) -> torch.Tensor:
    """A picture of Pillow's as float32 [channels, height, width] in [0, 1], resized by area."""
    channels, height, width = shape
    sized = picture.convert(_MODES[channels]).resize((width, height), Image.Resampling.BOX)
    values = torch.frombuffer(bytearray(sized.tobytes()), dtype=torch.uint8)
    return values.reshape(height, width, channels).permute(2, 0, 1).float() / 255
