"""Checks of texts: damaged cells, near copies, phrases that give the label away, mixed languages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from assay.data.audit.files import SHARED
from assay.data.audit.rows import MANY_COPIES, Z95
from assay.data.columns import as_text
from assay.data.findings import Checked, Finding, Severity, View, count_of, first_rows, named
from assay.data.schema import Kind
from assay.data.stored import Frame, cells_at
from assay.data.texts.grams import Words, normalised, word_hashes
from assay.data.texts.languages import LANGUAGES, languages
from assay.data.texts.minhash import different, near_pairs
from assay.ledger import Outcome

#: Jaccard similarity of runs of three words from which texts are near copies.
ALIKE = 0.8
#: Rows whose words are counted, and characters of a text that are.
COUNTED_ROWS, COUNTED_CHARACTERS = 50_000, 2_000
#: Rows whose language is told, share of another language that is told of, difference of a class or part that is warned
#: of, and rows that a class or part must have for it.
TOLD_ROWS, FOREIGN, MIXED, FEW = 20_000, 0.03, 0.15, 30
#: Share of a class that must have a phrase (the lower end of its interval), from which on it alone separates, and the
#: purity that it must have, were all classes of one size.
COVERS, SEPARATES, PURE = 0.6, 0.8, 0.95
#: Share of empty texts from which they are a warning.
MANY_EMPTY = 0.01
#: What stands where letters were lost, and control signs other than tabs and ends of lines.
_LOST, _CONTROL = "\ufffd", r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]"
_NO_TEXT = "no column holds texts"


def cells(view: View) -> Checked:
    """Texts without a word, letters that were lost when a file was decoded, and control signs."""
    practice = "audit.text-cells"
    names = _names(view)
    if not names:
        return Checked(practice, _NO_TEXT, outcome=Outcome.NOT_APPLICABLE)
    empty: dict[str, np.ndarray] = {}
    lost: dict[str, np.ndarray] = {}
    control: dict[str, np.ndarray] = {}
    found: list[Finding] = []
    total = 0
    for name in names:
        texts = as_text(view.frame[name])
        is_empty, is_lost = texts.str.strip_chars() == "", texts.str.contains(_LOST, literal=True)
        is_controlled = texts.str.contains(_CONTROL)
        for counts, which in ((empty, is_empty), (lost, is_lost), (control, is_controlled)):
            if which.any():
                counts[name] = which.to_numpy()
        total += len(texts)
    if empty:
        share = sum(int(which.sum()) for which in empty.values()) / total
        severity = Severity.WARNING if share >= MANY_EMPTY else Severity.NOTE
        do = "Leave these rows out, or see that an empty text means the same when the model is used."
        found.append(_finding(practice, severity, "texts are empty", do, empty))
    if lost:
        do = "Read the file again in the encoding it was written in: letters were lost for good in this copy."
        what = "texts hold U+FFFD, the sign for letters that were lost"
        found.append(_finding(practice, Severity.WARNING, what, do, lost))
    if control:
        do = "Remove them if they are traces of another format: they count as words."
        found.append(_finding(practice, Severity.NOTE, "texts hold control signs", do, control))
    reason = f"{count_of(total, 'text')} of {count_of(len(names), 'column')}, none of them empty or damaged"
    return Checked(practice, reason, float(sum(finding.count for finding in found)), tuple(found))


def _finding(practice: str, severity: Severity, what: str, do: str, rows: dict[str, np.ndarray]) -> Finding:
    counts = {name: int(which.sum()) for name, which in rows.items()}
    concerned = np.flatnonzero(np.logical_or.reduce(list(rows.values())))
    return Finding(
        check=practice, severity=severity, what=f"{what}: {named(counts)}", do=do, count=sum(counts.values()),
        columns=tuple(counts), rows=first_rows(concerned),
    )  # fmt: skip


def _names(view: View) -> list[str]:
    return [column.name for column in view.schema.features if column.kind is Kind.TEXT]


def _texts(frame: Frame, names: Sequence[str], rows: np.ndarray | None = None) -> list[str]:
    """The texts of each row, its columns joined."""
    parts = [as_text(frame[name] if rows is None else cells_at(frame, name, rows)) for name in names]
    joined = parts[0] if len(parts) == 1 else pl.select(pl.concat_str(parts, separator="\n")).to_series()
    texts: list[str] = joined.to_list()
    return texts


# Near copies --------------------------------------------------------------------------------------------------------


def near_copies(view: View) -> Checked:
    """Texts that share at least 80 % of their runs of three words with another, and are not the same.

    Within the table those with different classes are told of as well; between files each is a row that the score is too
    good by. Copies to the letter are left to the checks of rows.
    """
    practice = "audit.text-near-duplicates"
    names, limit = _names(view), view.config.near_duplicate_rows
    if not names:
        return Checked(practice, _NO_TEXT, outcome=Outcome.NOT_APPLICABLE)
    if not limit:
        return Checked(practice, "data.audit.near_duplicate_rows is 0", outcome=Outcome.SKIPPED)
    frames = {"data": view.frame} | {part: table.frame for part, table in view.files.items()}
    frames = {part: frame for part, frame in frames.items() if set(names) <= set(frame.columns)}
    texts, parts, rows = _different(frames, names, limit)
    pairs = near_pairs(texts, ALIKE)
    of = parts[pairs]
    within = pairs[(of == 0).all(1)]
    found = [*_within(practice, view, texts, within, rows, min(limit, view.frame.height))]
    for place, part in enumerate(frames):
        if place:
            across = (of[:, 1] == place) & (of[:, 0] < place)
            found += _between(practice, part, rows[pairs[across, 1]], frames[part].height)
    near = np.unique(rows[within[:, 1]])
    cut = f" of the first {limit:,} rows of each file" if limit < view.frame.height else ""
    searched = f"{count_of(len(texts), 'different text')}{cut}"
    return Checked(practice, f"none among {searched}", float(len(near)), tuple(found), rows=near + 1)


def _different(frames: dict[str, Frame], names: Sequence[str], limit: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The different texts of all files, and of each the file and the row where it first stands."""
    texts: list[str] = []
    parts: list[int] = []
    rows: list[int] = []
    for place, frame in enumerate(frames.values()):
        own = [text[:COUNTED_CHARACTERS] for text in _texts(frame, names, np.arange(min(limit, frame.height)))]
        texts += own
        parts += [place] * len(own)
        rows += range(len(own))
    first = pl.Series(texts).is_first_distinct().to_numpy()
    at = np.flatnonzero(first)
    return [texts[place] for place in at], np.array(parts, np.int64)[at], np.array(rows, np.int64)[at]


def _within(
    practice: str, view: View, texts: list[str], pairs: np.ndarray, rows: np.ndarray, searched: int
) -> Iterator[Finding]:
    if not len(pairs):
        return
    near = np.unique(rows[pairs[:, 1]])
    share = len(near) / searched
    yield Finding(
        check=practice,
        severity=Severity.WARNING if share >= MANY_COPIES else Severity.NOTE,
        what=f"near copies of another text ({ALIKE:.0%} or more of their runs of words in common): "
        f"{count_of(len(near), 'text')} ({100 * share:.3g} %)",
        do="A split at random may put one into training and the other into the test: keep them together with --group.",
        count=len(near),
        columns=tuple(_names(view)),
        rows=first_rows(near),
    )
    if not view.schema.has_probabilities:
        return
    first, second = view.target[rows[pairs[:, 0]]], view.target[rows[pairs[:, 1]]]
    differ = pairs[(first != second) & (first >= 0) & (second >= 0)]
    if len(differ):
        both = np.unique(rows[differ])
        one, other = (view.answer_of(rows[place]) for place in differ[0])
        yield Finding(
            check=practice,
            severity=Severity.WARNING,
            what=f"near copies with different labels: {count_of(len(differ), 'pair')}, such as {one!r} and {other!r} "
            f"for {_shown(texts[differ[0, 1]])}",
            do="Look which of the labels is right.",
            count=len(differ),
            columns=tuple(_names(view)),
            rows=first_rows(both),
        )


def _between(practice: str, part: str, rows: np.ndarray, height: int) -> list[Finding]:
    near = np.unique(rows)
    if not len(near):
        return []
    share = len(near) / height
    return [
        Finding(
            check=practice,
            severity=Severity.SERIOUS if share > SHARED else Severity.WARNING,
            what=f"near copies of texts in another file: {count_of(len(near), 'text')} of the {part} file "
            f"({100 * share:.3g} %)",
            do=f"Remove them from the {part} file: the scores on it are too good by what these texts give.",
            count=len(near),
            rows=first_rows(near),
            part=part,
        )
    ]


def _shown(text: str, most: int = 60) -> str:
    one_line = " ".join(text.split())
    return repr(one_line if len(one_line) <= most else one_line[:most] + "...")


# Phrases ------------------------------------------------------------------------------------------------------------


def phrases(view: View) -> Checked:
    """Words, and pairs of words, that most texts of a class have and hardly any other.

    Words that merely speak for a class are in a part of its texts; one in most of them is of another origin than the
    text: a source, a template, the label itself. Both shares are taken at the unfavourable ends of Wilson's intervals.
    """
    practice = "audit.text-leak"
    names = _names(view)
    if not names or not view.schema.has_probabilities:
        reason = "the target is a number" if names else _NO_TEXT
        return Checked(practice, reason, outcome=Outcome.NOT_APPLICABLE)
    rows = view.sample if len(view.sample) <= COUNTED_ROWS else view.sample[:: -(-len(view.sample) // COUNTED_ROWS)]
    texts = [text[:COUNTED_CHARACTERS] for text in _texts(view.frame, names, rows)]
    row, hashed = _first_of_each(texts)
    if not len(row):
        return Checked(practice, "the texts have no words", outcome=Outcome.NOT_APPLICABLE)
    hashes, place = np.unique(hashed, return_inverse=True)
    found: list[Finding] = []
    highest = 0.0
    with_phrase = np.bincount(place, minlength=len(hashes))
    for label, name in enumerate(view.schema.classes):
        has = view.has(label, rows)
        size = int(has.sum())
        others = len(rows) - size
        if not size or not others:
            continue
        own = np.bincount(place[has[row]], minlength=len(hashes))
        covered, elsewhere = _wilson(own, size)[0], _wilson(with_phrase - own, others)[1]
        pure = covered / (covered + elsewhere)
        highest = max(highest, float(covered[pure >= PURE].max(initial=0.0)))
        leaks = np.flatnonzero((covered >= COVERS) & (pure >= PURE))
        if len(leaks):
            best = leaks[np.argmax(covered[leaks] + pure[leaks])]
            having = row[place == best]
            having = having[has[having]]
            example = texts[having[0]]
            shares = (
                f"{own[best] / size:.0%} of the texts of {name!r}",
                with_phrase[best] - own[best],
            )
            found.append(
                Finding(
                    check=practice,
                    severity=Severity.SERIOUS if covered[best] >= SEPARATES else Severity.WARNING,
                    what=f"{_spelled(example, hashes[best])!r} is in {shares[0]} and in {shares[1] / others:.1%} of "
                    f"the others, such as {_shown(example)}",
                    do="If it comes from where the texts were taken or from the label, remove it from the texts.",
                    count=int(own[best]),
                    columns=tuple(names),
                    rows=first_rows(rows[having]),
                )
            )
    counted = f"of {count_of(len(texts), 'text')}, the first {COUNTED_CHARACTERS:,} characters of each"
    reason = f"no word or pair of words {counted} is in most texts of one class alone"
    return Checked(practice, reason, highest, tuple(found))


def _first_of_each(texts: Sequence[str]) -> tuple[np.ndarray, Words]:
    """The row and the hash of every different word and pair of words of each text."""
    rows, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for row, words in word_hashes(texts):
        follows = row[1:] == row[:-1]
        own = np.concatenate([row, row[1:][follows]])
        every = np.concatenate([words, _paired(words)[follows]])
        own, every = different(own, every)
        rows.append(own)
        hashes.append(every)
    return np.concatenate(rows), np.concatenate(hashes)


def _paired(words: Words) -> Words:
    """The hash of each word together with the next."""
    both: Words = (words[:-1] * np.uint64(0x9E3779B97F4A7C15)) ^ (words[1:] >> np.uint64(1))
    return both


def _spelled(text: str, wanted: np.uint64) -> str:
    """The word, or the pair of words, of the text with this hash."""
    words = normalised(text).split()
    hashes = np.concatenate([hashes for _, hashes in word_hashes([text])])
    single, double = np.flatnonzero(hashes == wanted), np.flatnonzero(_paired(hashes) == wanted)
    return words[single[0]] if len(single) else " ".join(words[double[0] : double[0] + 2])


def _wilson(hits: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends of Wilson's 95 % intervals of shares `hits / count`."""
    share, z2 = hits / count, Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return middle - half, middle + half


# Languages ----------------------------------------------------------------------------------------------------------


def language_mix(view: View) -> Checked:
    """Texts in other languages than most, and whether their share differs between classes or files."""
    practice = "audit.text-language"
    names = _names(view)
    if not names:
        return Checked(practice, _NO_TEXT, outcome=Outcome.NOT_APPLICABLE)
    rows = view.sample[:: max(-(-len(view.sample) // TOLD_ROWS), 1)]
    spoken = languages(_texts(view.frame, names, rows))
    counts = np.bincount(spoken, minlength=len(LANGUAGES))
    told = int(counts[1:].sum())
    if not told:
        return Checked(practice, "the language of no text could be told", 0.0)
    main = 1 + int(counts[1:].argmax())
    foreign = (spoken != main) & (spoken > 0)
    share = float(foreign.sum() / told)
    reason = f"{LANGUAGES[main]} in {1 - share:.1%} of the {told:,} texts whose language could be told"
    found: list[Finding] = []
    if share >= FOREIGN:
        others = {LANGUAGES[place]: int(counts[place]) for place in np.flatnonzero(counts) if place not in (0, main)}
        found.append(
            Finding(
                check=practice,
                severity=Severity.NOTE,
                what=f"{reason}; {named(others)}",
                do="See that the model is to read all of them, and that each has enough texts.",
                count=int(foreign.sum()),
                columns=tuple(names),
                rows=first_rows(rows[foreign]),
            )
        )
    noun = "label" if view.schema.is_multilabel else "class"
    groups = {f"{noun} {name!r}": view.has(place, rows) for place, name in enumerate(view.schema.classes)}
    shares = {name: foreign[at & (spoken > 0)] for name, at in groups.items()}
    for part, table in view.files.items():
        if set(names) <= set(table.frame.columns):
            own = languages(_texts(table.frame, names, np.arange(min(table.frame.height, TOLD_ROWS))))
            shares[f"the {part} file"] = own[own > 0] != main
    found += _unlike(practice, names, shares, share)
    return Checked(practice, reason, share, tuple(found))


def _unlike(practice: str, names: Sequence[str], shares: dict[str, np.ndarray], whole: float) -> Iterator[Finding]:
    """Classes and files whose share of other languages is not that of the whole."""
    odd = {
        name: float(which.mean())
        for name, which in shares.items()
        if len(which) >= FEW and abs(float(which.mean()) - whole) >= MIXED
    }
    if odd:
        told = ", ".join(f"{share:.0%} in {name}" for name, share in odd.items())
        yield Finding(
            check=practice,
            severity=Severity.WARNING,
            what=f"the share of other languages is {whole:.0%} in the table, but {told}",
            do="A model would learn the language instead of what is said: balance them, or fit one model each.",
            count=len(odd),
            columns=tuple(names),
        )
