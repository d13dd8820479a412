"""`$filter` and `$orderby`: from OData's text to a test of an entity, and to what entities are sorted by."""

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeVar

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from outlook_sandbox.graph.errors import GraphError, bad_request
from outlook_sandbox.graph.operations import Call
from outlook_sandbox.graph.properties import FLAG, MOMENT, NUMBER, TEXT, Complex, Json, Kind, Many, Scalar

LONGEST = 8000
MOST_TOKENS = 300
Listed = TypeVar("Listed")
Test = Callable[[Json], bool]
Scope = Mapping[str, Any]
"""What names stand for while a filter is tried: "" for the entity itself, and the variables of lambdas."""
COMPARISONS: dict[type[ast._Comparator], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("Equal", eq),
    ast.NotEq: ("NotEqual", ne),
    ast.Lt: ("LessThan", lt),
    ast.LtE: ("LessThanOrEqual", le),
    ast.Gt: ("GreaterThan", gt),
    ast.GtE: ("GreaterThanOrEqual", ge),
}
TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
CASES = {"tolower": str.lower, "toupper": str.upper}


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a filter: what kind of value it has (none for null), and how to get it. A literal has the same everywhere."""

    kind: Kind
    value: Callable[[Scope], Any]
    literal: bool = False


def chosen(call: Call, listed: list[Listed], entity: Complex, show: Callable[[Listed], Json]) -> list[Listed]:
    """Those of a list that the call's $filter lets through, as its $orderby wants them. Raises GraphError 400."""
    if not call.query.keys() & {"$filter", "$orderby"}:
        return listed
    shown = [(show(each), each) for each in listed]
    if "$filter" in call.query:
        test = read_filter(call.query["$filter"], entity)
        shown = [pair for pair in shown if test(pair[0])]
    if "$orderby" in call.query:
        for key, down in reversed(read_order(call.query["$orderby"], entity)):
            shown.sort(key=_of_first(key), reverse=down)
    return [each for _, each in shown]


def _of_first(key: Callable[[Json], Any]) -> Callable[[tuple[Json, Listed]], Any]:
    return lambda pair: key(pair[0])


@lru_cache(maxsize=256)
def read_filter(text: str, entity: Complex) -> Test:
    """What a $filter asks of entities of this kind. Raises GraphError 400."""
    try:
        test = _flag(_Reader({"": entity}).term(_parsed(text)))
    except (ValueError, OverflowError) as reason:
        raise _invalid("One of its values is not valid.") from reason
    return lambda shown: test({"": shown}) is True


@lru_cache(maxsize=256)
def read_order(text: str, entity: Complex) -> tuple[tuple[Callable[[Json], Any], bool], ...]:
    """What an $orderby sorts by, most important first, and whether downwards; null comes before all. Raises GraphError 400."""
    wishes = []
    for part in text.split(","):
        path, _, direction = part.strip().partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise _not_sortable(part)
        term = Term(entity, lambda scope: scope[""])
        for name in path.split("/"):
            term = _property(term, name)
        wishes.append((_sort_key(term, part), direction.strip() == "desc"))
    return tuple(wishes)


def _sort_key(term: Term, part: str) -> Callable[[Json], Any]:
    kind = term.kind
    if not isinstance(kind, Scalar):
        raise _not_sortable(part)

    def key(shown: Json) -> Any:
        value = term.value({"": shown})
        return (value is not None, kind.fold(value) if value is not None else 0)

    return key


class _Reader:
    """Turns the parts of a filter's tree into terms. `known` are the kinds of the entity ("") and of lambda variables."""

    def __init__(self, known: Mapping[str, Scalar | Complex]) -> None:
        self._known = known

    def term(self, node: ast._Node) -> Term:
        match node:
            case ast.Identifier() if node.name in self._known:
                name = node.name
                return Term(self._known[name], lambda scope: scope[name])
            case ast.Identifier():
                return _property(Term(self._known[""], lambda scope: scope[""]), node.name)
            case ast.Attribute():
                return _property(self.term(node.owner), node.attr)
            case ast.Compare(comparator=ast.In()):
                return self._one_of(node)
            case ast.Compare():
                return _comparison(type(node.comparator), self.term(node.left), self.term(node.right))
            case ast.BoolOp():
                return self._both_or_either(node)
            case ast.UnaryOp(op=ast.Not()):
                test = _flag(self.term(node.operand))
                return Term(FLAG, lambda scope: not test(scope))
            case ast.Call():
                return self._call(node.func.full_name(), [self.term(argument) for argument in node.args])
            case ast.CollectionLambda():
                return self._any_or_all(node)
            case _:
                return _literal(node)

    def _both_or_either(self, node: ast.BoolOp) -> Term:
        left, right = _flag(self.term(node.left)), _flag(self.term(node.right))
        if isinstance(node.op, ast.And):
            return Term(FLAG, lambda scope: left(scope) and right(scope))
        return Term(FLAG, lambda scope: left(scope) or right(scope))

    def _one_of(self, node: ast.Compare) -> Term:
        left = self.term(node.left)
        tests = [_comparison(ast.Eq, left, self.term(value)).value for value in getattr(node.right, "val", ())]
        return Term(FLAG, lambda scope: any(test(scope) for test in tests))

    def _call(self, name: str, arguments: list[Term]) -> Term:
        texts = [argument.value for argument in arguments if argument.kind is not None and _edm(argument) == TEXT.edm]
        if len(texts) != len(arguments) or name not in TESTS.keys() | CASES.keys():
            raise _not_supported()
        if name in CASES:
            (only,), change = texts, CASES[name]
            return Term(TEXT, lambda scope: None if (text := only(scope)) is None else change(text))
        (whole, part), test = texts, TESTS[name]
        return Term(FLAG, lambda scope: test((whole(scope) or "").casefold(), (part(scope) or "").casefold()))

    def _any_or_all(self, node: ast.CollectionLambda) -> Term:
        many = self.term(node.owner)
        if not isinstance(many.kind, Many):
            raise _not_supported()
        values = many.value
        if node.lambda_ is None:
            return Term(FLAG, lambda scope: bool(values(scope)))
        name = node.lambda_.identifier.name
        test = _flag(_Reader({**self._known, name: many.kind.each}).term(node.lambda_.expression))
        every = all if isinstance(node.operator, ast.All) else any
        return Term(FLAG, lambda scope: every(test({**scope, name: value}) for value in values(scope) or ()))


def _property(owner: Term, name: str) -> Term:
    if not isinstance(owner.kind, Complex):
        raise _invalid(f"Could not find a property named '{name}'.")
    written, kind = owner.kind.get(name)
    get = owner.value
    return Term(kind, lambda scope: (get(scope) or {}).get(written))


def _comparison(comparator: type[ast._Comparator], left: Term, right: Term) -> Term:
    name, compare = COMPARISONS[comparator]
    if left.kind is None or right.kind is None:
        return _null_comparison(comparator, left, right)
    if _edm(left) != _edm(right):
        raise _invalid(
            "A binary operator with incompatible types was detected. "
            f"Found operand types '{_edm(left)}' and '{_edm(right)}' for operator kind '{name}'."
        )
    special = left.kind if left.kind is not TEXT else right.kind
    fold = special.fold if isinstance(special, Scalar) else TEXT.fold
    first, second = _folded(left, fold), _folded(right, fold)

    def test(scope: Scope) -> bool:
        one, other = first(scope), second(scope)
        if one is None or other is None:
            return comparator is ast.NotEq
        return compare(one, other)

    return Term(FLAG, test)


def _null_comparison(comparator: type[ast._Comparator], left: Term, right: Term) -> Term:
    if comparator not in (ast.Eq, ast.NotEq):
        return Term(FLAG, lambda scope: False)
    one, other, wanted = left.value, right.value, comparator is ast.Eq
    return Term(FLAG, lambda scope: (one(scope) is None and other(scope) is None) == wanted)


def _folded(term: Term, fold: Callable[[Any], Any]) -> Callable[[Scope], Any]:
    get = term.value
    if term.literal:
        value = fold(get({}))
        return lambda scope: value
    return lambda scope: None if (found := get(scope)) is None else fold(found)


def _literal(node: ast._Node) -> Term:
    kind: Scalar | None
    value: object
    match node:
        case ast.Null():
            kind, value = None, None
        case ast.String(val=text):
            kind, value = TEXT, text
        case ast.Boolean():
            kind, value = FLAG, node.py_val
        case ast.Integer() | ast.Float():
            kind, value = NUMBER, node.py_val
        case ast.DateTime(val=text) if text[-1] not in "Zz" and text[-6] not in "+-":
            raise _invalid(
                f"The DateTimeOffset text '{text}' should be in format 'yyyy-mm-ddThh:mm:ss('.'s+)?(zzzzzz)?' and each "
                "field value is within valid range."
            )
        case ast.DateTime(val=text) | ast.Date(val=text):
            kind, value = MOMENT, text
        case _:
            raise _not_supported()
    return Term(kind, lambda scope: value, literal=True)


def _flag(term: Term) -> Callable[[Scope], Any]:
    if term.kind is not FLAG:
        raise _invalid("The $filter expression must evaluate to a single boolean value.")
    return term.value


def _edm(term: Term) -> str:
    if not isinstance(term.kind, Scalar):
        raise _not_supported()
    return term.kind.edm


def _parsed(text: str) -> ast._Node:
    if len(text) > LONGEST:
        raise _invalid(f"It is longer than {LONGEST} characters.")
    try:
        tree: ast._Node = ODataParser().parse(_tokens(text.strip()))
    # The last two: how the parser stumbles over some paths that mean nothing.
    except (ODataException, AttributeError, NotImplementedError) as reason:
        raise _invalid(f"Syntax error in '{text[:200]}'.") from reason
    return tree


def _tokens(text: str) -> Iterator[Any]:
    """The filter's tokens, with two things that the lexer and the parser don't know made as they like them: `not` right
    before a parenthesis, and a list of one value."""
    tokens = list(itertools.islice(ODataLexer().tokenize(text), MOST_TOKENS + 1))
    if len(tokens) > MOST_TOKENS:
        raise _invalid(f"The node count limit of '{MOST_TOKENS}' has been exceeded.")
    listing = lone = False
    for token, following in itertools.zip_longest(tokens, tokens[1:]):
        if following is not None and following.type == "(" and token.value == ast.Identifier("not"):
            token.type, token.value = "NOT", ast.Not()
        if token.type == "(" and listing:
            lone = True
        elif token.type == "," and lone:
            lone = False
        elif token.type == ")" and lone:
            comma = copy.copy(token)
            comma.type = comma.value = ","
            yield comma
            lone = False
        listing = token.type == "IN"
        yield token


def _invalid(reason: str) -> GraphError:
    return bad_request(f"Invalid filter clause: {reason}")


def _not_supported() -> GraphError:
    return GraphError(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")


def _not_sortable(part: str) -> GraphError:
    return GraphError(400, "ErrorInvalidUrlQuery", f"The $orderby clause '{part.strip()}' is not supported.")
