"""No input stops a job: each file ends in exactly one of labels and quarantine, within the memory of a worker."""

import io
import shutil

import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.labelling.label import label_images
from tests.jobs.labelling.mutations import good_images, mutations
from tests.worker_memory import peak_memory_of_workers

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def folder(test_data, tmp_path_factory):
    """Good images, hundreds of damaged ones, and large ones of every format."""
    place = tmp_path_factory.mktemp("bad")
    good = good_images(test_data / "photos")
    damaged = mutations(good)
    assert len(damaged) >= 200
    for kind, images in (("good", good), ("damaged", damaged), ("large", dict(large_images()))):
        (place / kind).mkdir()
        for name, content in images.items():
            (place / kind / name).write_bytes(content)
    shutil.copytree(test_data / "photos_bad", place / "bad")
    return place


def large_images():
    """Just within the limit of 40 megapixels, so that memory is put to the test."""
    image = Image.effect_noise((1250, 1000), 50).resize((7900, 5000)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, form, options in (
        ("plain.jpg", "JPEG", {}),
        ("turned.jpg", "JPEG", {"exif": exif}),
        ("rgb.png", "PNG", {"compress_level": 1}),
        ("grey.gif", "GIF", {}),
        ("lossy.webp", "WEBP", {"method": 0}),
    ):
        content = io.BytesIO()
        (image.convert("L") if form == "GIF" else image).save(content, form, **options)
        yield name, content.getvalue()


def test_hundreds_of_damaged_images_end_in_exactly_one_of_labels_and_quarantine(
    folder, request_for, stock, tmp_path, record_property
):
    request = request_for(*stock, "--images", folder, "--output", tmp_path)
    with peak_memory_of_workers() as peaks:
        result = label_images(request)
    images = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    labelled = pq.read_table(tmp_path / "labels")["image"].to_pylist()
    quarantined = {row["image"]: row for row in pq.read_table(tmp_path / "quarantine").to_pylist()}
    assert result.images == len(labelled) + result.quarantined == len(images)
    assert set(labelled) | quarantined.keys() == images
    assert not set(labelled) & quarantined.keys()
    assert {name for name in quarantined if name.startswith(("good/", "large/"))} == set()
    assert all(row["detail"] and "\n" not in row["detail"] for row in quarantined.values())
    assert {row["reason"] for row in quarantined.values()} == {"empty", "not_an_image", "too_large", "unreadable"}
    for size in ("65535x65535", "2147483647"):
        assert {name for name in labelled if size in name} <= {"damaged/says-2147483647-riff.webp"}
    assert peaks[0] < 1.5e9
    record_property("peaks", [round(peak / 1e6) for peak in peaks])
    record_property("counts", result.model_dump())
