"""Checks of pictures: copies, near copies, odd sizes, empty ones, and marks that give a class away.

Shape legend: n pictures, C channels, H height, W width, p pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from assay.data.findings import Checked, Finding, Severity, count_of, first_rows
from assay.data.pictures.places import shown_place
from assay.data.pictures.store import PictureStore
from assay.ledger import Outcome

#: Share of copies from which they are a warning, and share of a held-out part from which they are serious.
MANY_COPIES, SHARED = 0.01, 0.01
#: Bits of 64 in which two near copies may differ, and how alike their pixels must be then (correlation).
NEAR_BITS, NEAR_PIXELS = 4, 0.985
#: Pairs that are compared bit by bit for each band of bits at most.
MOST_PAIRS = 50_000_000
#: Deviation of the pixels below which a picture is of one colour, and means below and above which that is black or
#: white.
FLAT, BLACK, WHITE = 6.0, 16.0, 239.0
#: How many times the usual area a picture is odd from, or the usual shape.
ODD_AREA, ODD_SHAPE = 4.0, 2.0
#: Damaged pictures that a finding names.
_NAMED_DAMAGED = 20
#: AUROC of a single property from which it is noted, from which it is a warning, and from which it is serious.
TOLD, TELLING, GIVEN_AWAY = 0.7, 0.8, 0.95
#: The same for brightness and the like, which what is shown may well decide.
BRIGHT_TOLD, BRIGHT_TELLING = 0.9, 0.99
#: Pictures of a class below which its AUROC says little.
FEW = 10


@dataclass(frozen=True)
class PictureView:
    """Pictures with what is known of each.

    part: which of `names` each is of, int (n,). label: position in `classes`, -1 where unknown, int (n,).
    names: parts in their order, the training part first: `data`, or `train`, `valid`, `test`.
    """

    store: PictureStore
    label: np.ndarray
    classes: tuple[str, ...]
    part: np.ndarray
    names: tuple[str, ...] = ("data",)

    @cached_property
    def looks(self) -> Looks:
        """What the pixels say, computed once for all checks."""
        return look_at(self.store)

    def rows_of(self, pictures: np.ndarray, part: int) -> np.ndarray:
        """Positions within their part of those pictures that are of it."""
        before = np.cumsum(self.part == part) - 1
        return np.asarray(before[pictures[self.part[pictures] == part]])


@dataclass(frozen=True)
class Looks:
    """Of each picture: its hash, uint64 (n,), mean and deviation of its grey pixels, and mean colourfulness, (n,)."""

    hashes: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    colour: np.ndarray


def look_at(store: PictureStore) -> Looks:
    """One pass over the pixels."""
    n = len(store)
    hashes, sums = np.zeros(n, np.uint64), np.zeros((3, n))
    for first, block in store.blocks():
        rows = slice(first, first + len(block))
        grey = _grey(block)
        hashes[rows] = difference_hash(grey)
        sums[0, rows] = grey.mean((1, 2))
        sums[1, rows] = grey.std((1, 2))
        # The least and the largest channel of a grey pixel are equal.
        sums[2, rows] = (block.max(1) - block.min(1)).mean((1, 2))
    return Looks(hashes, *sums)


def _grey(pictures: np.ndarray) -> np.ndarray:
    """(n, C, H, W) uint8 to (n, H, W) float32, with the weights of ITU-R BT.601."""
    if pictures.shape[1] == 1:
        return pictures[:, 0].astype(np.float32)
    return np.tensordot(pictures.astype(np.float32), np.array([0.299, 0.587, 0.114], np.float32), (1, 0))


def difference_hash(grey: np.ndarray) -> np.ndarray:
    """Whether each of 8 x 8 places is brighter than its neighbour, as 64 bits: (n, H, W) to uint64 (n,).

    Krawetz, Kind of Like That (2013). Copies in another size, format, brightness or contrast differ in few bits.
    """
    _, height, width = grey.shape
    small = np.matmul(np.matmul(_means(height, 8), grey), _means(width, 9).T)  # (n, 8, 9)
    bits = (small[:, :, 1:] > small[:, :, :-1]).reshape(len(grey), 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _means(size: int, wanted: int) -> np.ndarray:
    """The means of `wanted` equal stretches of `size` pixels, as a matrix (wanted, size)."""
    edges = np.linspace(0, size, wanted + 1)
    pixels = np.arange(size)
    share = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    share = share.clip(0.0)
    return np.asarray((share / share.sum(1, keepdims=True)).astype(np.float32))


def near_pairs(hashes: np.ndarray, most: int = NEAR_BITS, limit: int = MOST_PAIRS) -> tuple[np.ndarray, bool]:
    """All pairs of hashes that differ in at most `most` bits, (p, 2) with the lower position first.

    Two such hashes are equal in one of `most` + 1 bands of bits, so only hashes of a common band are compared, each
    pair once (Norouzi, Punjani & Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012).

    Returns:
        The pairs, and whether all were compared: where a band has more than `limit` pairs it is cut short.
    """
    edges = np.linspace(0, 64, most + 2).round().astype(int)
    masks = [np.uint64(((1 << int(high - low)) - 1) << int(low)) for low, high in pairwise(edges)]
    found, whole = [np.empty((0, 2), np.int64)], True
    for place, mask in enumerate(masks):
        order = np.argsort(hashes & mask, kind="stable")
        ordered = hashes[order]
        compared = 0
        at = np.arange(len(order) - 1)
        for step in range(1, len(order)):
            at = at[at + step < len(order)]
            at = at[((ordered[at] ^ ordered[at + step]) & mask) == 0]  # sorted: once apart, always apart
            if not len(at):
                break
            compared += len(at)
            if compared > limit:
                whole = False
                break
            differ = ordered[at] ^ ordered[at + step]
            close = np.bitwise_count(differ) <= most
            for earlier in masks[:place]:  # a band they share was looked at before
                close &= (differ & earlier) != 0
            pair = np.stack([order[at[close]], order[at[close] + step]], axis=1)
            found.append(np.sort(pair, axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], whole


# Copies

#: What exact copies do; what only looks alike is never serious, for some pictures are alike and not copies.
_EXACT = "equal"


def duplicates(view: PictureView) -> Checked:
    """Files that are equal byte for byte: within a part, across parts, and with different labels."""
    practice = "audit.picture-duplicates"
    sums = view.store.facts["sha256"]
    known = np.flatnonzero(view.store.sound)
    groups = sums.gather(known).rank("dense").to_numpy().astype(np.int64)
    order = np.lexsort((known, groups))
    first = np.flatnonzero(np.append(True, np.diff(groups[order]) != 0)) if len(order) else order
    sizes = np.diff(np.append(first, len(order)))
    original = np.repeat(known[order][first], sizes)
    pairs = np.stack([original, known[order]], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    findings = _copies(view, practice, pairs, _EXACT, "file for file")
    copies = np.unique(pairs[:, 1])
    reason = f"{count_of(len(copies), 'repeated file')} among {len(known):,}"
    return Checked(practice, reason, float(len(copies)), findings, rows=copies + 1)


def near_duplicates(view: PictureView) -> Checked:
    """Pictures that look alike: 4 of 64 bits of their difference hash differ at most, and pixels correlate by 0.985.

    Copies in another size, format or brightness are found, mirrored or cropped ones are not. Pictures of one colour
    are left out: they are all alike.
    """
    practice = "audit.picture-near-duplicates"
    looks = view.looks
    at = np.flatnonzero(view.store.sound & (looks.deviation > FLAT))
    pairs, whole = near_pairs(looks.hashes[at])
    pairs = at[pairs]
    sums = view.store.facts["sha256"].rank("dense").fill_null(0).to_numpy()
    pairs = pairs[sums[pairs[:, 0]] != sums[pairs[:, 1]]]  # exact copies are another check's
    pairs = pairs[_correlations(view.store, pairs) >= NEAR_PIXELS]
    findings = _copies(view, practice, pairs, "look like", "but for trifles")
    near = np.unique(pairs)
    cut = "" if whole else f"; not all pairs were compared, for more than {MOST_PAIRS:,} share parts of their hash"
    reason = f"{len(near):,} of {len(at):,} pictures look like another{cut}"
    return Checked(practice, reason, float(len(near)), findings, rows=near + 1)


def _correlations(store: PictureStore, pairs: np.ndarray) -> np.ndarray:
    """How alike the grey pixels of each pair are, whatever their brightness and contrast, (p,)."""
    found = np.empty(len(pairs))
    step = max(1, (32 << 20) // (store.form.size * 4))
    for first in range(0, len(pairs), step):
        some = pairs[first : first + step]
        one, other = (_standard(_grey(store.at(some[:, side]))) for side in (0, 1))
        found[first : first + step] = (one * other).mean(1)
    return found


def _standard(grey: np.ndarray) -> np.ndarray:
    rows = grey.reshape(len(grey), -1)
    rows = rows - rows.mean(1, keepdims=True)
    return np.asarray(rows / np.maximum(rows.std(1, keepdims=True), 1e-6))


def _copies(view: PictureView, practice: str, pairs: np.ndarray, verb: str, how: str) -> tuple[Finding, ...]:
    """Findings on pairs (p, 2): across parts first, then within each, then those with different labels."""
    parts = view.part[pairs]
    found = []
    for part in range(1, len(view.names)):
        for other in range(part):
            across = (parts.min(1) == other) & (parts.max(1) == part)
            rows = np.unique(view.rows_of(pairs[across].ravel(), part))
            if len(rows):
                found.append(_across(view, practice, rows, (part, other), verb, how))
    for part, name in enumerate(view.names):
        inside = pairs[(parts == part).all(1)]
        rows = np.unique(view.rows_of(inside.max(1), part))
        if len(rows):
            n = int((view.part == part).sum())
            what = f"{count_of(len(rows), 'picture')} of {n:,} in the {name} part {verb} an earlier one of it, {how}"
            severity = Severity.WARNING if len(rows) >= MANY_COPIES * n else Severity.NOTE
            do = "Keep them in one part of the split, and remove them if they are copies by mistake."
            found.append(
                Finding(
                    check=practice,
                    severity=severity,
                    what=what,
                    do=do,
                    count=len(rows),
                    rows=first_rows(rows),
                    part=name,
                )
            )
    labels = view.label[pairs]
    differ = pairs[(labels >= 0).all(1) & (labels[:, 0] != labels[:, 1])]
    if len(differ):
        one, another = (view.classes[int(view.label[differ[0, side]])] for side in (0, 1))
        what = f"{count_of(len(differ), 'pair')} of pictures that {verb} each other, {how}, have different labels, "
        what += f"such as {one!r} and {another!r}"
        rows = np.unique(differ)
        do = "Look which label is right: at most one of them is."
        found.append(
            Finding(
                check=practice, severity=Severity.WARNING, what=what, do=do, count=len(differ), rows=first_rows(rows)
            )
        )
    return tuple(found)


def _across(
    view: PictureView, practice: str, rows: np.ndarray, between: tuple[int, int], verb: str, how: str
) -> Finding:
    part, other = view.names[between[0]], view.names[between[1]]
    n = int((view.part == between[0]).sum())
    source = "training" if between[1] == 0 else other
    what = f"{count_of(len(rows), 'picture')} of {n:,} in the {part} part ({100 * len(rows) / n:.3g} %) "
    what += f"{verb} {source} pictures, {how}"
    return Finding(
        check=practice,
        severity=Severity.SERIOUS if verb == _EXACT and len(rows) >= SHARED * n else Severity.WARNING,
        what=what,
        do=f"Remove them from the {part} part: the scores on it are too good by what these pictures give.",
        count=len(rows),
        rows=first_rows(rows),
        part=part,
    )


# Single pictures


def damaged(view: PictureView) -> Checked:
    """Pictures that could not be read, with the reasons."""
    practice = "audit.picture-files"
    facts = view.store.facts
    rows = np.flatnonzero(~view.store.sound)
    if not len(rows):
        return Checked(practice, f"all {len(view.store):,} pictures could be read", 0.0)
    faults = facts["fault"].drop_nulls().value_counts(sort=True)
    counts = ", ".join(f"{count:,} {fault}" for fault, count in faults.iter_rows())
    known = view.store.index.damaged[:_NAMED_DAMAGED]
    named = "; ".join(f"{shown_place(each.place)!r}: {each.reason}" for each in known)
    more = f"; and {len(rows) - len(known):,} more" if len(rows) > len(known) else ""
    what = f"{count_of(len(rows), 'picture')} of {len(view.store):,} could not be read ({counts}): {named}{more}"
    do = "Repair these files; their rows are left out."
    severity = Severity.SERIOUS if len(rows) >= MANY_COPIES * len(view.store) else Severity.WARNING
    finding = Finding(
        check=practice, severity=severity, what=what, do=do, count=len(rows), columns=("image",), rows=first_rows(rows)
    )
    return Checked(practice, what, float(len(rows)), (finding,), rows=rows + 1)


def odd_sizes(view: PictureView) -> Checked:
    """Pictures of a quarter or four times the usual area, or twice as wide or as tall as usual."""
    practice = "audit.picture-sizes"
    height, width = _sizes(view.store)
    sound = view.store.sound
    area, shape = np.log(height * width), np.log(height / width)
    odd = np.abs(area - np.median(area[sound])) > np.log(ODD_AREA)
    odd |= np.abs(shape - np.median(shape[sound])) > np.log(ODD_SHAPE)
    rows = np.flatnonzero(odd & sound)
    usual = f"{np.median(width[sound]):.0f} x {np.median(height[sound]):.0f} pixels"
    small = int((sound & (height < view.store.form.height) & (width < view.store.form.width)).sum())
    grown = f"; {small:,} were magnified" if small > 1 else "; 1 was magnified" if small else ""
    if not len(rows):
        return Checked(practice, f"none is far from the usual {usual}{grown}", 0.0)
    at = int(rows[0])
    what = f"{count_of(len(rows), 'picture')} of {int(sound.sum()):,} are far from the usual {usual}, "
    what += f"such as {width[at]:.0f} x {height[at]:.0f}{grown}"
    do = "Look whether they are of the kind the model is for; resizing changes what they show."
    finding = Finding(
        check=practice,
        severity=Severity.WARNING if len(rows) >= MANY_COPIES * len(view.store) else Severity.NOTE,
        what=what,
        do=do,
        count=len(rows),
        columns=("image",),
        rows=first_rows(rows),
    )
    return Checked(practice, what, float(len(rows)), (finding,), rows=rows + 1)


def _sizes(store: PictureStore) -> tuple[np.ndarray, np.ndarray]:
    """Height and width before resizing, float (n,); 1 of damaged ones."""
    facts = store.facts
    return facts["height"].fill_null(1).to_numpy().astype(float), facts["width"].fill_null(1).to_numpy().astype(float)


def empty_pictures(view: PictureView) -> Checked:
    """Pictures of one colour."""
    practice = "audit.picture-empty"
    looks, sound = view.looks, view.store.sound
    flat = sound & (looks.deviation <= FLAT)
    kinds = {
        "black": flat & (looks.mean < BLACK),
        "white": flat & (looks.mean > WHITE),
        "of one colour": flat & (looks.mean >= BLACK) & (looks.mean <= WHITE),
    }
    rows = np.flatnonzero(flat)
    if not len(rows):
        return Checked(practice, f"none of {int(sound.sum()):,} pictures is of one colour", 0.0)
    counts = ", ".join(f"{int(which.sum()):,} {name}" for name, which in kinds.items() if which.any())
    what = f"{count_of(len(rows), 'picture')} of {int(sound.sum()):,} show nothing: {counts}"
    finding = Finding(
        check=practice,
        severity=Severity.WARNING,
        what=what,
        do="Look whether they are failed recordings, and remove those.",
        count=len(rows),
        columns=("image",),
        rows=first_rows(rows),
    )
    return Checked(practice, what, float(len(rows)), (finding,), rows=rows + 1)


# Shortcuts


def shortcuts(view: PictureView) -> Checked:
    """How well a property that is not what a picture shows tells a class from the others, as AUROC.

    Networks learn such marks before they learn shapes (Geirhos et al., Shortcut Learning in Deep Neural Networks,
    Nature Machine Intelligence 2020). Size, shape and kind of the file should tell nothing; brightness, contrast,
    colour and how well a picture can be compressed may belong to the class, so they are judged more kindly. Each class
    is taken against all others.
    """
    practice = "audit.picture-shortcuts"
    rows = np.flatnonzero(view.store.sound & (view.label >= 0) & (view.part == 0))
    label = view.label[rows]
    counts = np.bincount(label, minlength=len(view.classes))
    judged = np.flatnonzero((counts >= FEW) & (len(rows) - counts >= FEW))
    if not len(judged):
        return Checked(practice, f"no class has {FEW} pictures", outcome=Outcome.NOT_APPLICABLE)
    best: list[tuple[float, str, int]] = []
    for name, values in _properties(view).items():
        scores = _aurocs(values[rows], label, judged)
        at = int(np.argmax(scores))
        best.append((float(scores[at]), name, int(judged[at])))
    kind = _kind_scores(view.store.facts["kind"].gather(rows), label, judged)
    best.append((float(kind.max()), "kind of file", int(judged[int(np.argmax(kind))])))
    found = [finding for one in sorted(best, reverse=True) if (finding := _shortcut(view, practice, one, counts))]
    top = max(best)
    reason = f"the most telling property is the {top[1]}, with AUROC {top[0]:.3f} for {view.classes[top[2]]!r}"
    return Checked(practice, reason, top[0], tuple(found))


_LOOKS = ("brightness", "contrast", "colourfulness")
_KINDLY = (*_LOOKS, "bytes of the file")


def _properties(view: PictureView) -> dict[str, np.ndarray]:
    height, width = _sizes(view.store)
    looks = view.looks
    return {
        "area": height * width,
        "shape": width / height,
        "bytes of the file": view.store.facts["bytes"].to_numpy().astype(float),
        "number of channels": view.store.facts["channels"].fill_null(0).to_numpy().astype(float),
        **dict(zip(_LOOKS, (looks.mean, looks.deviation, looks.colour), strict=True)),
    }


def _shortcut(view: PictureView, practice: str, one: tuple[float, str, int], counts: np.ndarray) -> Finding | None:
    score, name, label = one
    steps = (BRIGHT_TOLD, BRIGHT_TELLING, 2.0) if name in _KINDLY else (TOLD, TELLING, GIVEN_AWAY)
    if score < steps[0]:
        return None
    severity = Severity.SERIOUS if score >= steps[2] else Severity.WARNING if score >= steps[1] else Severity.NOTE
    what = f"the {name} alone tells pictures of {view.classes[label]!r} from all others with AUROC {score:.3f}"
    do = "If that comes from how pictures were taken or saved, the model will learn it instead of what they show: "
    do += "save all pictures alike, or see to it that both classes come in both ways."
    return Finding(check=practice, severity=severity, what=what, do=do, count=int(counts[label]), columns=("image",))


def _aurocs(values: np.ndarray, label: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """The AUROC of a number for each class against the others, whichever way it points, (judged,)."""
    ranks = pl.Series(values).rank("average").to_numpy()
    n = len(values)
    sums = np.bincount(label, weights=ranks, minlength=int(label.max()) + 1)
    counts = np.bincount(label, minlength=len(sums))
    own = counts[judged]
    area = (sums[judged] - own * (own + 1) / 2) / (own * (n - own))
    return np.asarray(np.maximum(area, 1.0 - area))


def _kind_scores(kinds: pl.Series, label: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """The AUROC of the kind of file for each class, with each kind scored by the class's share of it, (judged,)."""
    code = kinds.rank("dense").to_numpy().astype(np.int64)
    total = np.bincount(code)
    scores = []
    for one in judged:
        share = np.bincount(code[label == one], minlength=len(total)) / np.maximum(total, 1)
        scores.append(float(_aurocs(share[code], (label == one).astype(np.int64), np.array([1]))[0]))
    return np.array(scores)


CHECKS = (damaged, duplicates, near_duplicates, odd_sizes, empty_pictures, shortcuts)
