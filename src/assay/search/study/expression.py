"""Conditions and constraints of a space: arithmetic and comparisons of options, and nothing else.

`model.width * model.layers <= 1024`, `model.name in ['tabm', 'mlp'] and train.lr > 1e-3`. Python's own parser reads the
text, and its tree is walked node by node: no name is looked up but an option, nothing is called, powers are bounded.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from assay.errors import ConfigError

Operand = str | int | float | bool | None
#: Characters of an expression, and the largest exponent.
LONGEST, _LARGEST_POWER = 500, 16

_ARITHMETIC: Mapping[type, Callable[[float, float], float]] = MappingProxyType(
    {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
     ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow}
)  # fmt: skip
_COMPARISONS: Mapping[type, Callable[[float, float], bool]] = MappingProxyType(
    {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
)
_EXAMPLE = "Examples: model.width * model.layers <= 1024, model.name in ['tabm', 'mlp'], not train.lr_find."


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text, the options it names, and its tree."""

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(repr=False, compare=False)

    def holds(self, values: Mapping[str, Operand]) -> bool:
        """Whether it is true with these values of options.

        Raises:
            ConfigError: it cannot be worked out, as of a number and a word.
        """
        try:
            return bool(_value(self._tree, values))
        except (TypeError, ValueError, ArithmeticError) as error:
            shown = ", ".join(f"{name}={values[name]!r}" for name in sorted(self.names))
            raise ConfigError(
                "an expression must have a value for every setting",
                f"{self.text!r} has none with {shown} ({error})",
                "Compare numbers with numbers and words with words.",
            ) from None


def parsed(text: object, place: str) -> Expression:
    """The expression in `text`; `place` says where it was read, for errors.

    Raises:
        ConfigError: it is no expression of options, numbers and words, or is too long.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise _refused(place, f"{str(text)[:60]!r} was given")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(place, f"{text[:80]!r} is none") from None
    names: set[str] = set()
    _check(tree, names, text, place, 0)
    return Expression(text.strip(), frozenset(names), tree)


def _refused(place: str, came: str) -> ConfigError:
    return ConfigError(f"{place} must be an expression of options", came, _EXAMPLE)


def _option(node: ast.expr) -> str | None:
    """`model.width` from the tree of an attribute, or None."""
    if isinstance(node, ast.Attribute):
        inner = _option(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def _check(node: ast.expr, names: set[str], text: str, place: str, depth: int) -> None:
    """Refuse every node that is not arithmetic, a comparison, and, or, not, a list, a value or an option."""
    if depth > 30:
        raise _refused(place, "it is nested too deeply")
    inner: list[ast.expr]
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name() | ast.Attribute():
            name = _option(node)
            if name is None or "." not in name:
                raise _refused(place, f"{ast.unparse(node)!r} in {text!r} is no option")
            names.add(name)
            return
        case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
            inner = [left, right]
        case ast.UnaryOp(ast.USub() | ast.UAdd() | ast.Not(), operand):
            inner = [operand]
        case ast.BoolOp(_, values):
            inner = values
        case ast.Compare(left, _, comparators):
            if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
                raise _refused(place, f"{text!r} compares with `is`")
            inner = [left, *comparators]
        case ast.List(elts) | ast.Tuple(elts):
            inner = elts
        case _:
            raise _refused(place, f"{ast.unparse(node)[:60]!r} cannot be in one")
    for each in inner:
        _check(each, names, text, place, depth + 1)


def _value(node: ast.expr, values: Mapping[str, Operand]) -> object:
    match node:
        case ast.Constant(value):
            return value
        case ast.BinOp(left, op, right):
            return _arithmetic(op, _number(_value(left, values)), _number(_value(right, values)))
        case ast.UnaryOp(ast.Not(), operand):
            return not _value(operand, values)
        case ast.UnaryOp(op, operand):
            number = _number(_value(operand, values))
            return -number if isinstance(op, ast.USub) else number
        case ast.BoolOp(ast.And(), parts):
            return all(_value(part, values) for part in parts)
        case ast.BoolOp(_, parts):
            return any(_value(part, values) for part in parts)
        case ast.Compare(left, ops, comparators):
            return _compared(_value(left, values), ops, [_value(each, values) for each in comparators])
        case ast.List(elts) | ast.Tuple(elts):
            return [_value(each, values) for each in elts]
    return values[_option(node) or ""]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _arithmetic(op: ast.operator, left: float, right: float) -> float:
    if isinstance(op, ast.Pow) and abs(right) > _LARGEST_POWER:
        raise ValueError(f"the exponent {right} is too large")
    return _ARITHMETIC[type(op)](left, right)


def _compared(left: object, ops: list[ast.cmpop], others: list[object]) -> bool:
    for op, right in zip(ops, others, strict=True):
        if isinstance(op, ast.Eq | ast.NotEq):
            held = (left == right) is isinstance(op, ast.Eq)
        elif isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, list):
                raise TypeError(f"{right!r} is no list")
            held = (left in right) is isinstance(op, ast.In)
        else:
            held = _COMPARISONS[type(op)](_number(left), _number(right))
        if not held:
            return False
        left = right
    return True
