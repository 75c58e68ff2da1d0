"""Labelled images from a `datasets.Dataset`: one at hand, a folder of its files, or one by name.

    omniglot        1,623 characters of 50 alphabets (Lake et al. 2015)
    mini-imagenet   100 classes of ImageNet (Vinyals et al. 2016)
    cifar-fs        the 100 classes of CIFAR-100 (Bertinetto et al. 2019)
    tiered-imagenet 608 classes of ImageNet (Ren et al. 2018): from a folder alone

Which classes train and which test is said by lists of names: `LabelledArrays.named`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_metalearn.sources.folder import Ink, bright, dark, pixels, shape_of
from metaloom_registry import (
    Deferred,
    InvalidTask,
    MissingExtra,
    NotFound,
    Type,
    parse_type,
)

Load: TypeAlias = Callable[..., Any]
"""`(path, split=...) -> datasets.Dataset`, as `datasets.load_dataset`."""


@dataclass(frozen=True)
class Hosted:
    """Where a data set of images is, and what its columns are called.

    repository: on the Hugging Face Hub; None where it is not there.
    """

    repository: str | None
    type: str
    image: str = "image"
    label: str = "label"
    ink: Ink = bright


HOSTED: Mapping[str, Hosted] = {
    "omniglot": Hosted("GATE-engine/omniglot", "image[1,28,28]", ink=dark),
    "mini-imagenet": Hosted("timm/mini-imagenet", "image[3,84,84]"),
    "cifar-fs": Hosted("uoft-cs/cifar100", "image[3,32,32]", "img", "fine_label"),
    "tiered-imagenet": Hosted(None, "image[3,84,84]"),
}
"""The data sets that `read_hosted` knows by name."""


def read_hosted(
    name: str,
    split: str,
    type_: Type | str | None = None,
    folder: str | Path | None = None,
    load: Load | None = None,
) -> LabelledArrays:
    """Read one of `HOSTED` through the library `datasets`, from the Hub or from a local `folder`.

    The folder holds the same files: Parquet with the same columns, or pictures, one folder a
    class.  `type_` is the size that pictures are brought to.  `load` is by default
    `datasets.load_dataset`.  Raises NotFound for an unknown name, MissingExtra, InvalidTask.
    """
    known = HOSTED.get(name)
    if known is None:
        raise NotFound(f"{name!r} is no data set known here; there are {', '.join(HOSTED)}")
    place = known.repository if folder is None else str(folder)
    if place is None:
        raise InvalidTask(f"{name} is on no hub that is free to read; give a folder that has it")
    if folder is not None and not Path(folder).is_dir():
        raise NotFound(f"there is no folder {folder}")
    data = (load or _load_dataset)(place, split=split)
    return dataset_images(
        data, type_ or known.type, known.image, known.label, known.ink, dataset=name
    )


def dataset_images(
    data: Any,
    type_: Type | str,
    image: str = "image",
    label: str = "label",
    ink: Ink = bright,
    dataset: str = "dataset",
) -> LabelledArrays:
    """All pictures of a `datasets.Dataset` with their labels, held as tensors.

    `type_` is `image[1,h,w]` or `image[3,h,w]`, to which pictures are converted and resized.  The
    names of the classes are those of the column of labels, where it has names.  `dataset` names
    the data in the identity of its classes.  Raises InvalidTask.
    """
    missing = [one for one in (image, label) if one not in data.column_names]
    if missing:
        raise InvalidTask(
            f"the data set {dataset!r} has no column {', '.join(missing)}; it has "
            f"{', '.join(data.column_names)}"
        )
    shape = shape_of(parse_type(type_) if isinstance(type_, str) else type_)
    feature = data.features[label]
    values = list(data[label])
    given = getattr(feature, "names", None)
    classes = list(given) if given else sorted({str(value) for value in values})
    places = {one: place for place, one in enumerate(classes)}
    labels = [value if given else places[str(value)] for value in values]
    pictures = [pixels(one, shape) for one in data[image]]
    if not pictures:
        raise InvalidTask(f"the data set {dataset!r} has no row; give another split")
    found = LabelledArrays(
        ink(torch.stack(pictures)), torch.tensor(labels), tuple(classes), dataset
    )
    present = torch.bincount(found.labels).nonzero().flatten().tolist()
    return found if len(present) == len(classes) else found.only(present)


def _load_dataset(path: str, split: str) -> Any:
    try:
        return Deferred("datasets", "load_dataset").function(path, split=split)
    except ModuleNotFoundError as error:
        if error.name != "datasets":
            raise
        raise MissingExtra(
            "data sets by name need the library datasets, which is missing: metaloom[datasets]"
        ) from None
