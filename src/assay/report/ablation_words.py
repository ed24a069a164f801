"""What practices earned, in words: for the terminal, the page of the ablation and the ledger of the report."""

from __future__ import annotations

from assay.evaluate.earned import Ablation, Effect
from assay.evaluate.record import Estimate
from assay.report.words import MINUS, counted, decimals, fixed, number, p_value, percent, seconds

NOTHING = "no measurable effect"
#: The sign that stands before a verdict, so that colour is not needed.
SIGNS = {"helps": "+", "hurts": MINUS, NOTHING: "·", "unclear": "?", "needed": "!"}


def signed(value: float | None, places: int) -> str:
    """A difference with its sign: +0.0123."""
    if value is None:
        return "–"
    text = fixed(value, places)
    return text if text.startswith(MINUS) or float(value) == 0.0 or not text.strip("0.") else f"+{text}"


def places(estimate: Estimate) -> int:
    """Decimals that show the larger end of an estimate with two digits."""
    ends = [abs(each) for each in (estimate.value, estimate.low, estimate.high) if each]
    return decimals([max(ends, default=0.0)], 2)


def gain(estimate: Estimate) -> str:
    """A gain with its interval: `+0.0123 [+0.0081, +0.0165]`."""
    if estimate.value is None:
        return "–"
    digits = places(estimate)
    if estimate.low is None or estimate.high is None:
        return signed(estimate.value, digits)
    return f"{signed(estimate.value, digits)} [{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def verdict(effect: Effect) -> str:
    """The verdict in words."""
    return {
        "helps": "helps", "hurts": "hurts", NOTHING: NOTHING, "needed": "training fails without it",
        "unclear": "unclear among so many",
    }[effect.verdict]  # fmt: skip


def p_of(effect: Effect) -> str:
    """The p-value after Holm, without the p."""
    return "–" if effect.verdict == "needed" else p_alone(effect.p_value)


def p_alone(value: float) -> str:
    """A p-value for a column of them: `< 0.001`, `0.032`."""
    return p_value(value).removeprefix("p ").removeprefix("= ")


def cost(effect: Effect) -> str:
    """The seconds that a practice costs, or saves."""
    if effect.way == "computed anew":
        return "none"
    if effect.seconds is None:
        return "–"
    if abs(effect.seconds) < 0.05:
        return "0 s"
    return f"{'+' if effect.seconds > 0 else MINUS}{seconds(abs(effect.seconds))}"


def earned(effect: Effect) -> str:
    """One sentence for the ledger: what the practice earned, or that nothing could be measured."""
    if effect.verdict == "needed":
        return f"without it ({effect.without}) training fails"
    told = f"{gain(effect.gain)} {effect.label} against {effect.without}"
    if effect.verdict == NOTHING:
        return f"{NOTHING}: {told}"
    if effect.verdict == "unclear":
        return f"{told}, which is unclear among so many practices ({p_value(effect.p_value)})"
    return f"{told} ({p_value(effect.p_value)})"


def headline(made: Ablation) -> str:
    """What came of it in one sentence."""
    if not made.effects:
        return "Nothing could be measured."
    found = {name: [each for each in made.effects if each.verdict == name] for name in SIGNS}
    parts = []
    if found["needed"]:
        parts.append(f"{_listed(found['needed'])} {_is(found['needed'])} needed: training fails without")
    if found["helps"]:
        first = max(found["helps"], key=lambda each: each.gain.value or 0.0)
        more = f", most of all {first.practice} ({gain(first.gain)} {first.label})"
        parts.append(f"{counted(len(found['helps']), 'practice')} of {len(made.effects)} earned something{more}")
    if found["hurts"]:
        parts.append(f"{_listed(found['hurts'])} did harm")
    idle = len(found[NOTHING])
    if idle:
        parts.append(
            f"{idle} had {NOTHING}" if parts else f"None of {len(made.effects)} practices had a measurable effect"
        )
    if found["unclear"]:
        parts.append(f"{len(found['unclear'])} {_is(found['unclear'])} unclear")
    return "; ".join(parts) + "."


def _listed(effects: list[Effect]) -> str:
    return ", ".join(effect.practice for effect in effects)


def _is(effects: list[Effect]) -> str:
    return "is" if len(effects) == 1 else "are"


def how(made: Ablation) -> str:
    """How it was measured, in sentences."""
    told = []
    if any(effect.way == "trained anew" for effect in made.effects):
        seeds = f", dealt with {made.seeds} seeds" if made.seeds > 1 else ""
        told.append(
            f"Networks of {made.network} were trained anew on {made.folds} folds of {counted(made.rows, 'row')}{seeds},"
            " with everything and without each practice; a pair has the same rows and the same seed, and the "
            f"{percent(made.confidence)} intervals allow for what folds share (Nadeau & Bengio 2003)."
        )
    if any(effect.way == "computed anew" for effect in made.effects):
        told.append(
            "Weights, parts and temperatures were fitted anew to the answers that the run kept of rows its networks "
            "had not learned from; the intervals are of a paired bootstrap over these rows."
        )
    told.append(f"p-values are Holm's over all {len(made.effects)}. The test rows stayed sealed.")
    return " ".join(told)


def scores(effect: Effect) -> str:
    """The scores with and without: 0.9123 against 0.9101."""
    if effect.with_score is None or effect.without_score is None:
        return "–"
    return f"{number(effect.with_score)} against {number(effect.without_score)}"
