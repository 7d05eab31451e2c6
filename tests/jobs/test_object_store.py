"""What Atoll asks of an object store, asked of a real S3 server; and what its user is told."""

import pytest

from jobs import object_store
from jobs.errors import InvalidArgumentError, ServiceUnavailableError
from jobs.object_place import ObjectPlace, place_of
from tests.object_server import forget_connection


@pytest.mark.parametrize("url", ["s3://photos/a/b", "s3a://photos/a/b", "s3://photos/a/b/"])
def test_a_place_is_shown_and_joined_as_a_path_is(url: str) -> None:
    place = ObjectPlace.parse(url, "--output")
    assert str(place / "c") == "s3://photos/a/b/c"
    assert (place.name, str(place.parent), (place / "c/d").below(place)) == ("b", "s3://photos/a", "c/d")
    assert str(ObjectPlace.parse("s3://photos", "--output") / "a") == "s3://photos/a"


@pytest.mark.parametrize(
    "url", ["s3://", "s3://a", "s3:///a", "s3://photos//a", "s3://photos/../a", "gs://photos/a", "/a"]
)
def test_what_is_no_place_in_an_object_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as told:
        ObjectPlace.parse(url, "--output")
    assert str(told.value) == f"--output: {url!r}; accepted: s3://BUCKET/PREFIX"


def test_a_password_in_a_place_is_not_repeated() -> None:
    with pytest.raises(InvalidArgumentError, match=r"--output: 's3://...@photos/a'; accepted: s3://BUCKET/PREFIX"):
        ObjectPlace.parse("s3://me:secret@photos/a", "--output")


def test_a_listing_goes_on_over_many_pages_and_knows_no_folders(store, monkeypatch) -> None:
    prefix = place_of(f"s3://{store.new_bucket()}/a")
    monkeypatch.setattr(object_store, "_AT_ONCE", 3)
    names = [f"{number:04d}/x" for number in range(10)]
    for name in names:
        object_store.write(prefix / name, b"x")
    object_store.write(prefix.parent / "ab", b"beside it")
    object_store.write(prefix / "folder/", b"")
    assert [found.place.below(prefix) for found in object_store.listing(prefix)] == names
    assert object_store.folders(prefix) == [*(name[:4] for name in names), "folder"]
    object_store.delete(prefix / name for name in names)
    assert list(object_store.listing(prefix)) == []


def test_a_write_with_a_condition_happens_only_if_nobody_else_wrote(store) -> None:
    place = place_of(f"s3://{store.new_bucket()}/pointer")
    assert object_store.read(place) is None
    assert not object_store.write_if_unchanged(place, b"0", '"of another"')
    assert object_store.write_if_unchanged(place, b"1", None)
    assert not object_store.write_if_unchanged(place, b"2", None)
    first = object_store.read(place)
    assert first is not None
    assert object_store.write_if_unchanged(place, b"3", first.version)
    assert not object_store.write_if_unchanged(place, b"4", first.version)
    assert object_store.read(place).content == b"3"


def test_the_beginning_of_an_object_can_be_read_even_of_an_empty_one(store) -> None:
    place = place_of(f"s3://{store.new_bucket()}/image")
    for content, beginning in ((b"12345", b"123"), (b"1", b"1"), (b"", b"")):
        object_store.write(place, content)
        assert object_store.read(place, 3).content == beginning


def test_a_bucket_that_is_not_there_is_told_in_one_line(store) -> None:
    with pytest.raises(
        InvalidArgumentError, match="s3://nobodys/a: the object store answers NoSuchBucket; accepted: a "
    ):
        object_store.write(place_of("s3://nobodys/a"), b"")


def test_a_store_that_does_not_answer_is_one_to_ask_again(store, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget_connection()
    with pytest.raises(ServiceUnavailableError, match="s3://photos/a: Could not connect"):
        object_store.read(place_of("s3://photos/a"))


def test_missing_credentials_are_told_without_a_trace(store, monkeypatch, tmp_path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_connection()
    with pytest.raises(InvalidArgumentError, match="s3://photos/a: no credentials; accepted: AWS_ACCESS_KEY_ID and"):
        object_store.read(place_of("s3://photos/a"))
