"""Labelled images from the forms in which few-shot data sets are handed on as files.

A list of classes, as of CIFAR-FS (`splits/bertinetto/train.txt`, a name a line), chooses folders.
A list of files, as of miniImageNet (`train.csv` with the columns filename and label), labels
pictures that lie in one folder.
"""

from __future__ import annotations

from pathlib import Path

import torch

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_metalearn.sources.folder import Ink, bright, read_folder, read_picture, shape_of
from metaloom_metalearn.sources.table import read_columns
from metaloom_registry import InvalidTask, NotFound, Type, parse_type


def read_listed(
    listing: str | Path,
    images: str | Path,
    type_: Type | str,
    ink: Ink = bright,
    dataset: str | None = None,
) -> LabelledArrays:
    """Read the pictures under `images` that a list names.

    `listing` is a .txt of names of folders, or a .csv with the columns `filename` and `label`.
    The rest is as in `read_folder`.  Raises NotFound and InvalidTask.
    """
    listing, images = Path(listing), Path(images)
    if not listing.is_file():
        raise NotFound(f"there is no list {listing}")
    name = dataset or images.name
    if listing.suffix.lower() == ".txt":
        names = [line.strip() for line in listing.read_text("utf-8").splitlines() if line.strip()]
        return read_folder(images, type_, ink, name, only=names)
    columns = read_columns(listing)
    if not {"filename", "label"} <= columns.keys():
        raise InvalidTask(
            f"{listing.name} has the columns {', '.join(columns)}; wanted are filename and label"
        )
    shape = shape_of(parse_type(type_) if isinstance(type_, str) else type_)
    files = [images / str(one) for one in columns["filename"]]
    outside = [one for one in files if not one.resolve().is_relative_to(images.resolve())]
    if outside:
        raise InvalidTask(f"{listing.name} names {outside[0].name}, which is not in {images.name}")
    classes = sorted({str(one) for one in columns["label"]})
    places = {one: place for place, one in enumerate(classes)}
    return LabelledArrays(
        ink(torch.stack([read_picture(one, shape) for one in files])),
        torch.tensor([places[str(one)] for one in columns["label"]]),
        tuple(classes),
        name,
    )
