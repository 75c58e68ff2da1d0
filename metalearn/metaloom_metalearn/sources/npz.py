"""Labelled arrays from a file of numpy's: `images` and `labels`, or one row of images a class."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_registry import InvalidTask, NotFound


def read_npz(path: str | Path, dataset: str | None = None) -> LabelledArrays:
    """Read labelled images or vectors.

    `images`: uint8 of 0 to 255 or floats in [0, 1], ink high, [n, h, w] or [n, c, h, w], with
    `labels` [n] of integers or texts; without labels [classes, drawings, h, w], and the classes are
    named by the texts in the arrays of length `classes`, such as `alphabet` and `character`.  Or
    `vectors`: floats [n, features] with `labels`.  `dataset` names the data set in the identity of
    its classes, by default after the file.  Nothing pickled is read.  Raises NotFound and
    InvalidTask.
    """
    path = Path(path)
    arrays = _load(path)
    dataset = dataset or path.stem
    if "images" not in arrays and "vectors" not in arrays:
        raise InvalidTask(
            f"{path.name} holds {', '.join(sorted(arrays)) or 'nothing'}; wanted are images (or "
            "vectors) and labels"
        )
    kind = "image" if "images" in arrays else "vec"
    inputs = arrays["images" if kind == "image" else "vectors"]
    if inputs.dtype.kind not in "uif" or inputs.size == 0:
        raise InvalidTask(
            f"{path.name} has inputs {inputs.dtype}{list(inputs.shape)}; wanted are numbers, and "
            "at least one"
        )
    if "labels" in arrays:
        labels, names = _labels(arrays["labels"], len(inputs), path.name)
    else:
        labels, names = _by_row(arrays, inputs, path.name)
        inputs = inputs.reshape(-1, *inputs.shape[2:])
    if kind == "image":
        inputs = _pixels(inputs, path.name)
    values = torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))
    return LabelledArrays(values, torch.from_numpy(labels), names, dataset, kind)


def _load(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        if path.is_file() and not zipfile.is_zipfile(path):  # numpy would speak of pickles
            raise InvalidTask(
                f"{path.name} is no NPZ file that can be read; numpy.savez writes one"
            )
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidTask(f"{path.name} is no NPZ file that can be read: {error}") from None


def _labels(
    labels: np.ndarray[Any, Any], count: int, name: str
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    if labels.shape != (count,) or labels.dtype.kind not in "uiU":
        raise InvalidTask(
            f"{name} has labels {labels.dtype}{list(labels.shape)} for {count} inputs; wanted is "
            "one integer or text for each"
        )
    classes, places = np.unique(labels, return_inverse=True)
    return places.astype(np.int64), tuple(str(one) for one in classes)


def _by_row(
    arrays: dict[str, np.ndarray[Any, Any]], inputs: np.ndarray[Any, Any], name: str
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    if inputs.ndim < 4:
        raise InvalidTask(
            f"{name} has no labels, and its images {list(inputs.shape)} are not "
            "[classes, drawings, height, width]"
        )
    classes, drawings = inputs.shape[:2]
    texts = [a for a in arrays.values() if a.shape == (classes,) and a.dtype.kind == "U"]
    names = tuple("/".join(map(str, parts)) for parts in zip(*texts, strict=True))
    if len(set(names)) != classes:
        names = tuple(str(i) for i in range(classes))
    return np.repeat(np.arange(classes, dtype=np.int64), drawings), names


def _pixels(images: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """[n, c, h, w] of floats in [0, 1]."""
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4:
        raise InvalidTask(
            f"{name} has images {list(images.shape)}; wanted is [n, height, width] or "
            "[n, channels, height, width]"
        )
    if images.dtype.kind in "ui":
        if int(images.min()) < 0 or int(images.max()) > 255:
            raise InvalidTask(f"{name} has pixels beyond 0 to 255; scale them to [0, 1]")
        return images.astype(np.float32) / 255
    if np.isfinite(images).all() and (float(images.min()) < 0 or float(images.max()) > 1):
        raise InvalidTask(
            f"{name} has pixels from {float(images.min()):g} to {float(images.max()):g}; "
            "floats lie in [0, 1], ink high"
        )
    return images
