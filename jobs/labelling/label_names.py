"""The names of a graph's classes: one per line, or the pair of files that came with Google's 2015 Inception release."""

import re
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError
from jobs.files import open_regular

_ENTRY = re.compile(r'entry\s*\{\s*target_class:\s*(\d+)\s+target_class_string:\s*"([^"]*)"\s*\}')
_MOST_CLASSES = 1_000_000
_MOST_BYTES = 64_000_000
"""Of a file of names: a million of them."""


@dataclass(frozen=True)
class LabelNames:
    """One name per class, in the order of the scores.

    Attributes:
        names: Of class 0, 1, 2 and so on.
        all_named: Whether there is one for every class. The 2015 graph gives 1008 scores, of which 1000 have a name.
    """

    names: tuple[str, ...]
    all_named: bool = True

    def fit(self, classes: int) -> bool:
        """Tells whether they can be the names of so many classes."""
        return len(self.names) == classes or (not self.all_named and len(self.names) < classes)

    def of(self, classes: int) -> tuple[str, ...]:
        """Gives a name for each of so many classes; they must fit."""
        return self.names + tuple(map(_unnamed, range(len(self.names), classes)))


def read_label_names(labels: Path, synsets: Path | None) -> LabelNames:
    """Reads the names of the classes.

    Args:
        labels: One label per line. With `synsets`: `imagenet_2012_challenge_label_map_proto.pbtxt`, which says for each class
            which synset of WordNet it is.
        synsets: `imagenet_synset_to_human_label_map.txt`: on each line a synset, a tab, and what people call it.

    Raises:
        InvalidArgumentError: A file cannot be read, is not UTF-8, or has no such content.
    """
    text = _read(labels, "--labels")
    if synsets is None:
        if _ENTRY.search(text):
            raise InvalidArgumentError(
                f"--labels: {labels}: a map from classes to synsets; accepted: one label per line, or this with --synsets"
            )
        return LabelNames(tuple(line.rstrip("\r") for line in text.removesuffix("\n").split("\n")))
    known = dict(_synset(line, synsets) for line in _read(synsets, "--synsets").splitlines() if line.strip())
    classes = {int(number): synset for number, synset in _ENTRY.findall(text)}
    if not classes or max(classes) >= _MOST_CLASSES:
        raise InvalidArgumentError(
            f'--labels: {labels}: no class in it; accepted: entries of target_class: N and target_class_string: "SYNSET"'
        )
    if unknown := sorted(set(classes.values()) - known.keys()):
        raise InvalidArgumentError(f"--synsets: {synsets}: {unknown[0]} of {labels} is missing")
    named = {number: known[synset] for number, synset in classes.items()}
    return LabelNames(tuple(named.get(number, _unnamed(number)) for number in range(max(named) + 1)), all_named=False)


def _unnamed(number: int) -> str:
    return f"class {number}"


def _synset(line: str, path: Path) -> tuple[str, str]:
    synset, tab, name = line.partition("\t")
    if not tab:
        raise InvalidArgumentError(f"--synsets: {path}: {line[:80]!r}; accepted: a synset, a tab and its name")
    return synset.strip(), name.strip()


def _read(path: Path, argument: str) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InvalidArgumentError(
                f"{argument}: {path}: more than {_MOST_BYTES / 1e6:g} MB; accepted: one label per line"
            )
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{argument}: {path}: not UTF-8 at byte {error.start}; accepted: one label per line"
        ) from None
    except OSError as error:
        raise InvalidArgumentError(
            f"{argument}: {path}: {error.strerror or error}; accepted: a readable file"
        ) from None
