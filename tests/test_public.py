"""Every public dataset is read from small files in its true format; Fashion-MNIST is also read from its real files."""

import csv
import gzip
import inspect
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from imagestudy.core import download, paths
from imagestudy.core.download import NotFetchedError
from imagestudy.core.errors import InputError
from imagestudy.core.specs import ProfileSpec
from imagestudy.data import splits
from imagestudy.data.datasets import TEST, TRAIN, Dataset, sources
from imagestudy.data.public import cifar, eurosat, gtsrb, image_files, is_here, mnist, remote, unpacking

REAL = paths.ROOT.parent / "shared" / "data"
PUBLIC = tuple(name for name in sources.names() if "origin" in sources.entry(name).facts)
NAMES = {
    "mnist", "fashion_mnist", "kmnist", "emnist_letters", "cifar10", "cifar100", "svhn", "gtsrb", "eurosat", "olivetti",
}  # fmt: skip
RNG = np.random.default_rng(0)


def load(name: str, **options: object) -> Dataset:
    """Load a dataset again, without the cache of this process."""
    return sources.entry(name).function(**options)


def origin_of(name: str) -> remote.Origin:
    return sources.entry(name).facts["origin"]


def bytes_of(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the files as they are in their folder; `test_download` tests the downloads."""
    monkeypatch.setattr(remote, "fetch", lambda remote, folder: folder / remote.name)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(download, "urlopen", refuse)


def put(name: str, file: str, content: bytes) -> Path:
    place = origin_of(name).place() / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def idx_bytes(array: np.ndarray) -> bytes:
    """The IDX format: two zero bytes, 8 for unsigned bytes, the number of axes, their lengths, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def tar_bytes(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def image_bytes(array: np.ndarray, kind: str) -> bytes:
    target = io.BytesIO()
    Image.fromarray(array).save(target, format=kind)
    return target.getvalue()


def mat_bytes(**arrays: np.ndarray) -> bytes:
    target = io.BytesIO()
    savemat(target, arrays)
    return target.getvalue()


def check_parts(dataset: Dataset, train: int, test: int) -> None:
    assert dataset.part is not None
    assert dataset.part.tolist() == [TRAIN] * train + [TEST] * test


class TestRegistry:
    def test_the_ten_sets_are_registered(self) -> None:
        assert set(PUBLIC) == NAMES

    @pytest.mark.parametrize("name", PUBLIC)
    def test_what_is_known_is_complete(self, name: str) -> None:
        facts = sources.entry(name).facts
        assert all(facts[fact] for fact in ("title", "license", "citation", "known", "origin"))
        height, width, channels = facts["known"].size
        assert facts["title"].endswith(f", {height}×{width} {'grayscale' if channels == 1 else 'color'}")
        assert facts["known"].ratio >= 1

    @pytest.mark.usefixtures("no_network")
    @pytest.mark.parametrize("name", PUBLIC)
    def test_without_a_network_all_missing_files_are_named_with_their_place(self, name: str) -> None:
        with pytest.raises(NotFetchedError) as caught:
            load(name)
        said, given = str(caught.value), origin_of(name)
        assert str(given.place()) in said
        for piece in given.pieces():
            assert f"{piece.remote.name} ({piece.remote.digest}) from {' or '.join(piece.remote.urls)}" in said

    @pytest.mark.usefixtures("no_network")
    def test_existing_files_are_not_requested(self) -> None:
        put("mnist", mnist.FILES[0], b"")
        with pytest.raises(NotFetchedError) as caught:
            load("mnist")
        assert f"{mnist.FILES[0]}.gz" not in str(caught.value)
        assert f"{mnist.FILES[1]}.gz" in str(caught.value)

    @pytest.mark.parametrize("name", PUBLIC)
    def test_the_pieces_provide_all_needed_files_and_every_file_has_a_digest(self, name: str) -> None:
        given = origin_of(name)
        pieces = given.pieces()
        assert {made for piece in pieces for made in piece.gives} == set(given.needs)
        lengths = {"md5": 32, "sha256": 64}
        for found in (piece.remote for piece in pieces):
            algorithm, _, digest = found.digest.partition(":")
            assert len(digest) == lengths[algorithm]
            assert all(url.startswith(("https://", "http://")) for url in found.urls)

    @pytest.mark.parametrize(
        ("known", "pieces"), [(datasets.GTSRB, gtsrb.SIGNS.pieces()), (datasets.EuroSAT, eurosat.LAND.pieces())]
    )
    def test_the_copied_addresses_agree_with_the_installed_torchvision(self, known: type, pieces: tuple) -> None:
        source = inspect.getsource(known.download)
        assert all(piece.remote.digest.removeprefix("md5:") in source for piece in pieces)
        assert all(piece.remote.name in source and piece.remote.urls[0].rpartition("/")[0] in source for piece in pieces)


IDX_SETS = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}


def put_idx(name: str, *, train: int = 30, test: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Write the four compressed files; return all images and labels in them."""
    images, labels = bytes_of(train + test, 28, 28), (np.arange(train + test) % 10).astype(np.uint8)
    arrays = (images[:train], labels[:train], images[train:], labels[train:])
    for file, array in zip(mnist.FILES, arrays, strict=True):
        put(name, f"{file}.gz", gzip.compress(idx_bytes(array)))
    return images, labels


@pytest.mark.usefixtures("by_hand")
class TestIdx:
    @pytest.mark.parametrize("name", IDX_SETS)
    def test_pixels_labels_and_parts_come_back(self, name: str) -> None:
        images, labels = put_idx(name)
        dataset = load(name)
        np.testing.assert_array_equal(dataset.images[..., 0], images)
        np.testing.assert_array_equal(dataset.labels, labels)
        check_parts(dataset, 30, 20)

    @pytest.mark.parametrize("name", IDX_SETS)
    def test_torchvision_reads_the_same_from_the_same_folder(self, name: str) -> None:
        put_idx(name)
        dataset, known = load(name), IDX_SETS[name]
        for part in (TRAIN, TEST):
            theirs = known(root=str(paths.data_folder()), train=part == TRAIN, download=False)
            np.testing.assert_array_equal(dataset.images[dataset.part == part][..., 0], theirs.data.numpy())
            np.testing.assert_array_equal(dataset.labels[dataset.part == part], theirs.targets.numpy())

    def test_classes_are_torchvisions(self) -> None:
        put_idx("fashion_mnist")
        put_idx("kmnist")
        assert list(load("fashion_mnist").classes) == datasets.FashionMNIST.classes
        assert list(load("kmnist").classes) == datasets.KMNIST.classes
        assert ["N/A", *mnist.ascii_lowercase] == datasets.EMNIST.classes_split_dict["letters"]

    def test_only_clothing_allows_flips(self) -> None:
        for name in IDX_SETS:
            put_idx(name)
            assert load(name).flips == (("horizontal",) if name == "fashion_mnist" else ())

    def test_letters_are_upright_and_numbered_from_zero(self) -> None:
        stored, labels = bytes_of(40, 28, 28), (np.arange(40) % 26 + 1).astype(np.uint8)
        arrays = (stored[:30], labels[:30], stored[30:], labels[30:])
        members = {f"gzip/{n}.gz": gzip.compress(idx_bytes(a)) for n, a in zip(mnist.LETTERS, arrays, strict=True)}
        put("emnist_letters", "gzip.zip", zip_bytes(members | {"gzip/emnist-byclass-train-images-idx3-ubyte.gz": b"much"}))
        dataset = load("emnist_letters")
        np.testing.assert_array_equal(dataset.images[..., 0], stored.transpose(0, 2, 1))
        np.testing.assert_array_equal(dataset.labels, labels - 1)
        check_parts(dataset, 30, 10)
        theirs = datasets.EMNIST(str(paths.data_folder()), split="letters", train=False, download=False)
        np.testing.assert_array_equal(theirs.data.numpy(), stored[30:])
        assert not list(origin_of("emnist_letters").place().glob("*byclass*"))

    @pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"!", lambda b: b[:7], lambda b: b"\0\0\x09" + b[3:]])
    def test_a_file_that_is_not_whole_is_refused(self, change: Callable[[bytes], bytes]) -> None:
        put_idx("mnist")
        load("mnist")
        file = origin_of("mnist").place() / mnist.FILES[0]
        file.write_bytes(change(file.read_bytes()))
        with pytest.raises(InputError, match="train-images-idx3-ubyte is not a complete IDX file"):
            load("mnist")

    def test_more_labels_than_images_are_refused(self) -> None:
        put_idx("mnist")
        put("mnist", mnist.FILES[3], idx_bytes(bytes_of(21)))
        with pytest.raises(InputError, match="t10k-labels-idx1-ubyte has 21 labels for 20 images"):
            load("mnist")


def put_cifar(name: str, *, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = bytes_of(60, 32, 32, 3), bytes_of(60, label_bytes) % 10
    records = np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(60, -1)], axis=1)
    if name == "cifar10":
        files = {f"data_batch_{n + 1}.bin": records[10 * n : 10 * n + 10].tobytes() for n in range(5)}
        files |= {"test_batch.bin": records[50:].tobytes(), "batches.meta.txt": "\n".join(class_names(10)).encode() + b"\n\n"}
        folder, archive = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
    else:
        files = {"train.bin": records[:50].tobytes(), "test.bin": records[50:].tobytes()}
        files |= {"fine_label_names.txt": "\n".join(class_names(100)).encode(), "coarse_label_names.txt": b"fish\n"}
        folder, archive = "cifar-100-binary", "cifar-100-binary.tar.gz"
    put(name, archive, tar_bytes({f"{folder}/{file}": content for file, content in files.items()}))
    return images, labels[:, -1]


def class_names(number: int) -> list[str]:
    return [f"class_{n}" for n in range(number)]


@pytest.mark.usefixtures("by_hand")
class TestCifar:
    @pytest.mark.parametrize(("name", "label_bytes", "classes"), [("cifar10", 1, 10), ("cifar100", 2, 100)])
    def test_colours_fine_labels_and_parts_come_back(self, name: str, label_bytes: int, classes: int) -> None:
        images, labels = put_cifar(name, label_bytes=label_bytes)
        dataset = load(name)
        np.testing.assert_array_equal(dataset.images, images)
        np.testing.assert_array_equal(dataset.labels, labels)
        assert list(dataset.classes) == class_names(classes)
        check_parts(dataset, 50, 10)

    def test_the_first_plane_is_red(self) -> None:
        red = np.zeros((1, 3, 32, 32), dtype=np.uint8)
        red[:, 0] = 255
        record = bytes([7]) + red.tobytes()
        folder = cifar.CIFAR10.place() / cifar.CIFAR10.needs[0]
        folder.mkdir(parents=True)
        for file in (*cifar.BATCHES, "test_batch.bin"):
            (folder / file).write_bytes(record)
        (folder / "batches.meta.txt").write_text("a b")
        dataset = load("cifar10")
        assert (dataset.images == [255, 0, 0]).all()
        assert dataset.labels.tolist() == [7] * 6

    def test_a_cut_record_is_refused(self) -> None:
        put_cifar("cifar10", label_bytes=1)
        load("cifar10")
        file = cifar.CIFAR10.place() / cifar.CIFAR10.needs[0] / "data_batch_3.bin"
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(InputError, match=r"data_batch_3\.bin does not contain whole records of 3,073 bytes"):
            load("cifar10")

    def test_no_pickle_is_downloaded(self) -> None:
        names = [piece.remote.name for given in (cifar.CIFAR10, cifar.CIFAR100) for piece in given.pieces()]
        assert names == ["cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz"]


class TestMatlab:
    def test_house_numbers_come_back_and_ten_is_zero(self) -> None:
        images, labels = bytes_of(25, 32, 32, 3), (np.arange(25) % 10 + 1).astype(np.uint8)
        for file, rows in (("train_32x32.mat", slice(0, 15)), ("test_32x32.mat", slice(15, 25))):
            put("svhn", file, mat_bytes(X=images[rows].transpose(1, 2, 3, 0), y=labels[rows, None]))
        dataset = load("svhn")
        np.testing.assert_array_equal(dataset.images, images)
        np.testing.assert_array_equal(dataset.labels, np.where(labels == 10, 0, labels))
        assert dataset.classes[0] == "0"
        check_parts(dataset, 15, 10)

    def test_faces_come_back_upright_ten_a_person(self) -> None:
        faces = bytes_of(400, 64, 64)
        put("olivetti", "olivettifaces.mat", mat_bytes(faces=faces.transpose(0, 2, 1).reshape(400, -1).T, p=np.ones(3)))
        dataset = load("olivetti")
        np.testing.assert_array_equal(dataset.images[..., 0], faces)
        np.testing.assert_array_equal(dataset.labels, np.repeat(np.arange(40), 10))
        assert dataset.part is None
        assert splits.is_redrawn(dataset)
        cut = splits.split(dataset, number=0)
        assert [np.bincount(dataset.labels[rows]).tolist() for rows in (cut.test, cut.validation)] == [[2] * 40] * 2

    def test_a_damaged_file_is_refused(self) -> None:
        put("olivetti", "olivettifaces.mat", b"MATLAB 5.0" + bytes(500))
        with pytest.raises(InputError, match=r"olivettifaces\.mat cannot be read"):
            load("olivetti")

    def test_a_file_without_the_array_is_refused(self) -> None:
        put("olivetti", "olivettifaces.mat", mat_bytes(other=np.ones(3)))
        with pytest.raises(InputError, match="cannot be read"):
            load("olivetti")


TRACKS = (
    (0, 0),
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
    (7, 0),
    (7, 1),
    (7, 2),
    (7, 3),
    (7, 4),
    (42, 0),
    (42, 1),
    (42, 2),
    (42, 3),
    (42, 4),
)


def put_signs(*, side: int = 32, frames: int = 3, tests: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Write the three archives; return all images in the order of names, training first, and the classes of the test images."""
    images = bytes_of(len(TRACKS) * frames + tests, side, side, 3)
    frame_names = [f"{kind:05}/{track:05}_{frame:05}.ppm" for kind, track in TRACKS for frame in range(frames)]
    train = {f"GTSRB/Training/{n}": image_bytes(i, "PPM") for n, i in zip(frame_names, images, strict=False)}
    test = {f"GTSRB/Final_Test/Images/{n:05}.ppm": image_bytes(images[n - tests], "PPM") for n in range(tests)}
    answers = RNG.integers(0, 43, tests)
    table = io.StringIO()
    rows = csv.writer(table, delimiter=";", lineterminator="\r\n")
    rows.writerow(["Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId"])
    rows.writerows([f"{n:05}.ppm", side, side, 5, 5, 27, 27, answers[n]] for n in range(tests))
    put("gtsrb", "GTSRB-Training_fixed.zip", zip_bytes(train | {"GTSRB/Training/00000/GT-00000.csv": b"", "GTSRB/Readme.txt": b""}))
    put("gtsrb", "GTSRB_Final_Test_Images.zip", zip_bytes(test | {"GTSRB/Readme-Images-Final-test.txt": b""}))
    put("gtsrb", "GTSRB_Final_Test_GT.zip", zip_bytes({"GT-final_test.csv": table.getvalue().encode()}))
    return images, answers


@pytest.mark.usefixtures("by_hand")
class TestSigns:
    def test_images_classes_and_parts_come_back(self) -> None:
        images, answers = put_signs()
        dataset = load("gtsrb")
        np.testing.assert_array_equal(dataset.images, images)
        assert dataset.labels.tolist() == [kind for kind, _ in TRACKS for _ in range(3)] + answers.tolist()
        check_parts(dataset, 45, 5)
        assert len(dataset.classes) == len(set(dataset.classes)) == 43
        assert dataset.files[0] == "GTSRB/Training/00000/00000_00000.ppm"

    def test_torchvision_sees_the_same_images_in_the_same_order(self) -> None:
        put_signs()
        dataset = load("gtsrb")
        theirs = [i for split in ("train", "test") for i in datasets.GTSRB(str(paths.data_folder()), split=split, download=False)]
        np.testing.assert_array_equal(dataset.images, np.stack([np.asarray(image) for image, _ in theirs]))
        training = [(str(file), kind) for file, kind in datasets.GTSRB(str(paths.data_folder()), split="train")._samples]
        assert [Path(file).name for file, _ in training] == [Path(file).name for file in dataset.files[:45]]
        assert dataset.labels[45:].tolist() == [kind for _, kind in theirs[45:]]

    def test_the_frames_of_a_track_are_a_group_and_stay_in_one_part(self) -> None:
        put_signs()
        dataset = load("gtsrb")
        assert dataset.groups is not None
        assert dataset.groups.tolist() == [n for n in range(15) for _ in range(3)] + list(range(15, 20))
        compact = np.unique(dataset.labels[:45], return_inverse=True)[1]
        small = Dataset(dataset.images[:45], compact.astype(np.int64), ("a", "b", "c"), None, flips=(), groups=dataset.groups[:45])
        cut = splits.split(small)
        sides = [set(dataset.groups[rows].tolist()) for rows in (cut.train, cut.validation, cut.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 15

    def test_images_are_decoded_to_the_given_side(self) -> None:
        put_signs(side=40)
        assert load("gtsrb", side=16).images.shape == (50, 16, 16, 3)
        assert load("gtsrb").images.shape == (50, 32, 32, 3)


def put_land(each: int = 4) -> dict[str, np.ndarray]:
    """Write the archive; return file → the image that Pillow reads from it."""
    shown = {}
    members = {}
    for kind in eurosat.CLASSES:
        for number in range(1, each + 1):
            content = image_bytes(np.kron(bytes_of(4, 4, 3), np.ones((16, 16, 1), dtype=np.uint8)), "JPEG")
            members[f"2750/{kind}/{kind}_{number}.jpg"] = content
            shown[f"{kind}/{kind}_{number}.jpg"] = np.asarray(Image.open(io.BytesIO(content)))
    put("eurosat", "EuroSAT.zip", zip_bytes(members))
    return shown


@pytest.mark.usefixtures("by_hand")
class TestLand:
    def test_images_and_classes_come_back(self) -> None:
        shown = put_land()
        dataset = load("eurosat")
        assert set(dataset.files) == set(shown)
        np.testing.assert_array_equal(dataset.images, np.stack([shown[file] for file in dataset.files]))
        assert [list(eurosat.CLASSES)[label] for label in dataset.labels] == [file.partition("/")[0] for file in dataset.files]
        assert (dataset.part, dataset.flips) == (None, ("horizontal", "vertical"))

    def test_labels_are_torchvisions(self) -> None:
        put_land()
        load("eurosat")
        theirs = datasets.EuroSAT(str(paths.data_folder()), download=False)
        assert theirs.class_to_idx == {kind: number for number, kind in enumerate(eurosat.CLASSES)}

    def test_images_are_decoded_once_and_stay_on_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put_land()
        first = load("eurosat")
        monkeypatch.setattr(image_files, "inspect_all", lambda *_, **__: pytest.fail("decoded again"))
        again = load("eurosat")
        assert isinstance(again.images, np.memmap)
        np.testing.assert_array_equal(first.images, again.images)
        assert Path(again.images.filename).is_relative_to(paths.data_folder() / "cache")

    def test_a_change_in_memory_does_not_reach_the_disk(self) -> None:
        put_land()
        dataset = load("eurosat")
        before = dataset.images[0].copy()
        dataset.images[0] = ~dataset.images[0]
        np.testing.assert_array_equal(load("eurosat").images[0], before)

    def test_a_broken_image_is_named_and_nothing_is_kept(self) -> None:
        put_land()
        load("eurosat")
        file = eurosat.LAND.place() / "2750" / "River" / "River_1.jpg"
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        file.rename(file.with_name("River_0.jpg"))
        with pytest.raises(InputError, match=r"1 of 40 images of eurosat cannot be read; the first is .*River_0\.jpg"):
            load("eurosat")
        with pytest.raises(InputError, match="cannot be read"):
            load("eurosat")

    def test_an_empty_folder_is_refused(self) -> None:
        (eurosat.LAND.place() / "2750").mkdir(parents=True)
        with pytest.raises(InputError, match="contains no images of eurosat"):
            load("eurosat")


class TestUnpacking:
    @pytest.mark.parametrize("name", ["../outside", "{}/outside", "2750/../../outside"])
    @pytest.mark.parametrize(("unpack", "make"), [(unpacking.untar, tar_bytes), (unpacking.unzip, zip_bytes)])
    def test_nothing_is_written_outside_the_folder(
        self, tmp_path: Path, name: str, unpack: Callable, make: Callable[[dict], bytes]
    ) -> None:
        folder = tmp_path / "inner" / "folder"
        folder.mkdir(parents=True)
        archive = tmp_path / "archive"
        archive.write_bytes(make({"2750/fine": b"fine", name.format(tmp_path): b"evil"}))
        if unpack is unpacking.untar and name.startswith("{}"):  # the standard library takes the slash away
            unpacking.unpack_whole(archive, folder, ("2750",), unpack)
        else:
            with pytest.raises(InputError, match="cannot be unpacked"):
                unpacking.unpack_whole(archive, folder, ("2750",), unpack)
            assert list(folder.iterdir()) == []
        assert not list(tmp_path.rglob("outside"))

    def test_a_link_to_outside_is_refused(self, tmp_path: Path) -> None:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as archive:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, "../../../etc"
            archive.addfile(member)
        (tmp_path / "a.tar").write_bytes(target.getvalue())
        with pytest.raises(InputError, match="cannot be unpacked"):
            unpacking.unpack_whole(tmp_path / "a.tar", tmp_path, ("link",), unpacking.untar)

    @pytest.mark.parametrize("cut", [10, 200])
    def test_a_damaged_archive_leaves_nothing(self, tmp_path: Path, cut: int) -> None:
        (tmp_path / "file.gz").write_bytes(gzip.compress(RNG.bytes(1000))[:cut])
        with pytest.raises(InputError, match=r"file\.gz cannot be unpacked .*delete it to download it again"):
            unpacking.unpack_whole(tmp_path / "file.gz", tmp_path, ("file",), unpacking.gunzip)
        assert [file.name for file in tmp_path.iterdir()] == ["file.gz"]

    def test_an_archive_that_lacks_something_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(zip_bytes({"other": b""}))
        with pytest.raises(InputError, match=r"a\.zip does not contain 2750"):
            unpacking.unpack_whole(tmp_path / "a.zip", tmp_path, ("2750",), unpacking.unzip)


class TestRealFiles:
    @pytest.fixture(autouse=True)
    def _real_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IMAGESTUDY_DATA", str(REAL))

    @pytest.fixture
    def fashion(self) -> Dataset:
        if not is_here(mnist.FASHION_MNIST):
            pytest.skip(f"Fashion-MNIST is not in {REAL}")
        return load("fashion_mnist")

    @pytest.mark.parametrize("name", [name for name in PUBLIC if name not in ("gtsrb", "eurosat")])
    def test_what_is_known_holds(self, name: str) -> None:
        if not is_here(origin_of(name)):
            pytest.skip(f"{name} is not in {REAL}")
        dataset, known = load(name), sources.entry(name).facts["known"]
        assert dataset.images.shape == (known.images, *known.size)
        assert len(dataset.classes) == known.classes
        assert splits.describe(dataset.labels, dataset.classes).ratio == pytest.approx(known.ratio)
        cut = splits.split(dataset)
        assert (len(cut.test), len(cut.validation)) == known.held_out

    def test_fashion_has_6000_and_1000_images_a_class(self, fashion: Dataset) -> None:
        for part, each in ((TRAIN, 6_000), (TEST, 1_000)):
            assert splits.count(fashion.labels[fashion.part == part], 10).tolist() == [each] * 10

    def test_torchvision_reads_the_same_fashion(self, fashion: Dataset) -> None:
        theirs = datasets.FashionMNIST(root=str(REAL), train=False, download=False)
        np.testing.assert_array_equal(fashion.images[fashion.part == TEST][..., 0], theirs.data.numpy())
        np.testing.assert_array_equal(fashion.labels[fashion.part == TEST], theirs.targets.numpy())

    @pytest.mark.parametrize(("ratio", "total"), [(10.0, 24_516), (50.0, 16_796), (100.0, 14_886)])
    def test_the_totals_of_the_exponential_profile_on_all_training_images(self, fashion: Dataset, ratio: float, total: int) -> None:
        available = splits.count(fashion.labels[fashion.part == TRAIN], 10)
        assert splits.profile_counts(ProfileSpec(name="exponential", ratio=ratio), available).sum() == total

    def test_a_balanced_validation_part_is_drawn_from_the_training_images(self, fashion: Dataset) -> None:
        cut = splits.split(fashion)
        assert (len(cut.train), len(cut.validation), len(cut.test)) == (55_000, 5_000, 10_000)
        assert splits.count(fashion.labels[cut.validation], 10).tolist() == [500] * 10
        assert (fashion.part[cut.test] == TEST).all()

    def test_clothes_are_the_right_way_up(self, fashion: Dataset) -> None:
        """Trousers have one broad band, the waist, at the top: rows and columns, or top and bottom, are not swapped."""
        trousers = fashion.images[(fashion.labels == 1) & (fashion.part == TEST)][..., 0].mean(axis=0)
        middle = trousers[:, 13:15].mean(axis=1)
        assert middle[3:8].mean() > 2 * middle[20:25].mean()
