"""Few-shot data sets of images from `datasets` and from the files they are handed on as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pictures

from metaloom_metalearn import (
    HOSTED,
    ArrayEpisodes,
    LabelledArrays,
    dark,
    dataset_images,
    read_hosted,
    read_listed,
)
from metaloom_metalearn.sources import hosted
from metaloom_registry import InvalidTask, MissingExtra, NotFound


def pictures(count: int) -> list[Pictures.Image]:
    draw = np.random.default_rng(0)
    return [Pictures.fromarray(draw.integers(0, 255, (8, 8, 3), np.uint8)) for _ in range(count)]


def rows(name: str) -> Dataset:
    """Nine pictures of three classes, in the columns of a data set known here."""
    known = HOSTED[name]
    features = Features(
        {known.image: Image(), known.label: ClassLabel(names=["ant", "bee", "cow"])}
    )
    return Dataset.from_dict(
        {known.image: pictures(9), known.label: [i % 3 for i in range(9)]}, features=features
    )


@pytest.mark.parametrize("name", HOSTED)
def test_a_data_set_is_read_from_a_folder_of_its_files_without_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows(name).to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    load = hosted._load_dataset
    monkeypatch.setattr("datasets.config.HF_CACHE_HOME", str(tmp_path / "cache"))
    arrays = read_hosted(
        name,
        "train",
        folder=tmp_path,
        load=lambda path, split: load(path, split).with_format(None),
    )
    assert arrays.names == ("ant", "bee", "cow")
    assert str(arrays.type) == HOSTED[name].type
    assert arrays.dataset == name
    assert arrays.labels.bincount().tolist() == [3, 3, 3]


def test_the_repository_is_asked_where_no_folder_is_given() -> None:
    asked = []

    def load(path: str, split: str) -> Dataset:
        asked.append((path, split))
        return rows("cifar-fs")

    read_hosted("cifar-fs", "test", load=load)
    assert asked == [("uoft-cs/cifar100", "test")]


def test_pictures_of_a_dataset_are_held_as_tensors() -> None:
    data = rows("omniglot")
    arrays = dataset_images(data, "image[1,4,4]", ink=dark, dataset="test/omniglot")
    grey = np.asarray(data[0]["image"].convert("L").resize((4, 4), Pictures.Resampling.BOX))
    torch.testing.assert_close(arrays.inputs[0, 0], 1 - torch.from_numpy(grey.copy()).float() / 255)


def test_classes_without_a_picture_in_the_split_are_left_out() -> None:
    data = rows("omniglot").select([0, 2, 3])
    arrays = dataset_images(data, "image[1,4,4]")
    assert arrays.names == ("ant", "cow")
    assert arrays.labels.tolist() == [0, 1, 0]


def test_labels_may_be_texts() -> None:
    features = Features({"image": Image(), "label": Value("string")})
    data = Dataset.from_dict({"image": pictures(2), "label": ["b", "a"]}, features=features)
    arrays = dataset_images(data, "image[3,4,4]")
    assert arrays.names == ("a", "b")
    assert arrays.labels.tolist() == [1, 0]


def test_what_is_no_data_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="'emnist' is no data set known here; there are omniglot"):
        read_hosted("emnist", "train")
    with pytest.raises(InvalidTask, match="on no hub that is free to read; give a folder"):
        read_hosted("tiered-imagenet", "train")
    with pytest.raises(NotFound, match="there is no folder"):
        read_hosted("omniglot", "train", folder=tmp_path / "none")
    with pytest.raises(InvalidTask, match="no column picture; it has image, label"):
        dataset_images(rows("omniglot"), "image[1,4,4]", image="picture")
    with pytest.raises(InvalidTask, match="not as vec"):
        dataset_images(rows("omniglot"), "vec[4]")
    with pytest.raises(InvalidTask, match="has no row"):
        dataset_images(rows("omniglot").select([]), "image[1,4,4]")

    class Absent:
        def __init__(self, module: str, name: str) -> None:
            raise ModuleNotFoundError(name="datasets")

    monkeypatch.setattr(hosted, "Deferred", Absent)
    with pytest.raises(MissingExtra, match=r"metaloom\[datasets\]"):
        read_hosted("omniglot", "train")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("ant", "bee", "cow"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i, picture in enumerate(pictures(9)):
        picture.save(tmp_path / "data" / ("ant", "bee", "cow")[i % 3] / f"{i}.png")
    return tmp_path / "data"


def test_a_list_of_classes_chooses_folders(images: Path) -> None:
    (images.parent / "train.txt").write_text("cow\nant\n")
    arrays = read_listed(images.parent / "train.txt", images, "image[3,8,8]", dataset="cifar-fs")
    assert arrays.names == ("ant", "cow")
    (images.parent / "test.txt").write_text("dog\n")
    with pytest.raises(NotFound, match="has no folder dog"):
        read_listed(images.parent / "test.txt", images, "image[3,8,8]")


def test_a_list_of_files_labels_them(images: Path) -> None:
    listing = images.parent / "train.csv"
    listing.write_text("filename,label\nant/0.png,n01\nbee/1.png,n02\nant/3.png,n01\n")
    arrays = read_listed(listing, images, "image[3,8,8]")
    assert arrays.names == ("n01", "n02")
    assert arrays.labels.tolist() == [0, 1, 0]
    listing.write_text("filename,label\n../train.csv,n01\n")
    with pytest.raises(InvalidTask, match="which is not in data"):
        read_listed(listing, images, "image[3,8,8]")
    listing.write_text("file,label\nant/0.png,n01\n")
    with pytest.raises(InvalidTask, match="wanted are filename and label"):
        read_listed(listing, images, "image[3,8,8]")
    with pytest.raises(NotFound, match="there is no list"):
        read_listed(images / "none.csv", images, "image[3,8,8]")


def test_rotations_are_classes_of_their_own() -> None:
    x = torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    arrays = LabelledArrays(x, torch.tensor([0, 1, 0, 1]), ("a", "b"), "test/turned")
    turned = arrays.with_rotations()
    assert turned.names == ("a", "b", "a@90", "b@90", "a@180", "b@180", "a@270", "b@270")
    assert torch.equal(turned.inputs[4], torch.rot90(x[0], 1, (-2, -1)))
    assert turned.labels.bincount().tolist() == [2] * 8
    with pytest.raises(InvalidTask, match="no square images"):
        LabelledArrays(x[..., :2], arrays.labels, arrays.names, "test/turned").with_rotations()


def test_classes_are_chosen_by_name_and_split() -> None:
    x = torch.rand(20, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(10).repeat(2)
    arrays = LabelledArrays(x, labels, tuple("abcdefghij"), "test/letters")
    assert arrays.named(["c", "a"]).names == ("c", "a")
    with pytest.raises(NotFound, match="no class 'z'"):
        arrays.named(["z"])
    first, second = arrays.split_classes(0.7, torch.Generator().manual_seed(1))
    assert len(first.names) == 7
    assert sorted(first.names + second.names) == list(arrays.names)
    assert len(first) == 14


def test_equal_data_have_equal_digests_and_episodes_tell_their_classes() -> None:
    x = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    arrays = LabelledArrays(x, torch.arange(3).repeat(2), tuple("abc"), "test/letters")
    same = LabelledArrays(x.clone(), torch.arange(3).repeat(2), tuple("abc"), "test/letters")
    other = LabelledArrays(1 - x, torch.arange(3).repeat(2), tuple("abc"), "test/letters")
    assert arrays.digest == same.digest != other.digest
    source = ArrayEpisodes(arrays, 2, 1, 1)
    drawn = source.episodes(5, torch.Generator().manual_seed(1))
    assert source.data == (arrays.digest,)
    assert drawn.drawn is not None
    for t in range(5):
        for place, which in enumerate(drawn.drawn[t].tolist()):
            assert any(torch.equal(drawn.support_x[t, place], one) for one in x[[which, which + 3]])
