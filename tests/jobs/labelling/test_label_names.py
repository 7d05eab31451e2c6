"""Names of classes come from one file with a line for each, or from the pair of files of the 2015 release."""

from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError
from jobs.labelling.label_names import LabelNames, read_label_names

LABEL_MAP = """# -*- protobuffer -*-
# LabelMap from ImageNet 2012 full data set UID to int32 target class.
entry {
  target_class: 3
  target_class_string: "n01440764"
}
entry {
  target_class: 1
  target_class_string: "n02510455"
}
"""
SYNSETS = "n00004475\torganism, being\nn01440764\ttench, Tinca tinca\nn02510455\tgiant panda, panda\n"


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    (tmp_path / "synsets.txt").write_text(SYNSETS)
    return tmp_path / "map.pbtxt", tmp_path / "synsets.txt"


def test_the_pair_of_2015_names_each_class_by_its_synset(pair):
    names = read_label_names(*pair)
    assert names.names == ("class 0", "giant panda, panda", "class 2", "tench, Tinca tinca")


def test_scores_beyond_the_last_name_get_a_number(pair):
    names = read_label_names(*pair)
    assert names.fit(6)
    assert not names.fit(3)
    assert names.of(6)[3:] == ("tench, Tinca tinca", "class 4", "class 5")


def test_one_label_per_line_must_be_one_per_class(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"cat\r\ndog\n\n")
    names = read_label_names(tmp_path / "labels.txt", None)
    assert names == LabelNames(("cat", "dog", ""))
    assert (names.fit(3), names.fit(2), names.fit(4)) == (True, False, False)


def test_a_file_of_names_has_an_end_and_is_no_larger_than_names_are(tmp_path):
    with pytest.raises(InvalidArgumentError, match="/dev/zero: not a regular file"):
        read_label_names(Path("/dev/zero"), None)
    with (tmp_path / "labels.txt").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(InvalidArgumentError, match=r"labels\.txt: more than 64 MB; accepted: one label per line"):
        read_label_names(tmp_path / "labels.txt", None)


@pytest.mark.parametrize(
    ("labels", "synsets", "message"),
    [
        (LABEL_MAP, None, "with --synsets"),
        ("cat\n", SYNSETS, "no class in it"),
        (LABEL_MAP, "n01440764\ttench\n", "n02510455 of .* is missing"),
        (LABEL_MAP, "n01440764 tench\n", "a synset, a tab and its name"),
        (LABEL_MAP, b"\xff\xfe", "--synsets: .*not UTF-8"),
    ],
    ids=["a map alone", "no map", "a missing synset", "no tab", "no text"],
)
def test_files_that_do_not_belong_together_are_named(tmp_path, labels, synsets, message):
    (tmp_path / "labels").write_text(labels)
    if synsets is not None:
        (tmp_path / "synsets").write_bytes(synsets if isinstance(synsets, bytes) else synsets.encode())
    with pytest.raises(InvalidArgumentError, match=message):
        read_label_names(tmp_path / "labels", None if synsets is None else tmp_path / "synsets")
