"""Tables against definitions in plain Python: pow(y, -1, p), permutations, loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grok.experiment import GrokError
from grok.task.operations import NAMED, operation_table, structure

P = 97
PERMUTATIONS = list(itertools.permutations(range(5)))
INDEX = {permutation: i for i, permutation in enumerate(PERMUTATIONS)}
GROUPS = [
    "Z2",
    "Z12",
    "S2",
    "S4",
    "S5",
    "A3",
    "A4",
    "A5",
    "D2",
    "D3",
    "D6",
    "Z2xS3",
    "Z3xZ3",
    "D4xA3xZ2",
]


def after(a, b):
    """The permutation that applies a first, then b."""
    return tuple(b[a[i]] for i in range(len(a)))


def inverted(a):
    return tuple(a.index(i) for i in range(len(a)))


def first_odd(x, y):
    if y % 2:
        return x
    return y if x % 2 else x * y % P


def quotient(x, y):
    return x * pow(y, -1, P) % P if y else None


BY_HAND = {
    ("x+y", "Z97"): lambda x, y: (x + y) % P,
    ("x-y", "Z97"): lambda x, y: (x - y) % P,
    ("x/y", "Z97"): quotient,
    ("x/y if y odd else x-y", "Z97"): lambda x, y: quotient(x, y) if y % 2 == 1 else (x - y) % P,
    ("x^2+y^2", "Z97"): lambda x, y: (x**2 + y**2) % P,
    ("x^2+xy+y^2", "Z97"): lambda x, y: (x**2 + x * y + y**2) % P,
    ("x^2+xy+y^2+x", "Z97"): lambda x, y: (x**2 + x * y + y**2 + x) % P,
    ("x^3+xy", "Z97"): lambda x, y: (x**3 + x * y) % P,
    ("x^3+xy^2+y", "Z97"): lambda x, y: (x**3 + x * y**2 + y) % P,
    ("x*y", "Z97"): lambda x, y: x * y % P,
    ("x^2+y", "Z97"): lambda x, y: (x**2 + y) % P,
    ("x^3+y", "Z97"): lambda x, y: (x**3 + y) % P,
    ("x+y if x even else x*y", "Z97"): lambda x, y: (x + y if x % 2 == 0 else x * y) % P,
    ("x+y if x even else x-y", "Z97"): lambda x, y: (x + y if x % 2 == 0 else x - y) % P,
    ("xy", "S5"): lambda x, y: INDEX[after(PERMUTATIONS[x], PERMUTATIONS[y])],
    ("xyx^-1", "S5"): lambda x, y: INDEX[
        after(after(PERMUTATIONS[x], PERMUTATIONS[y]), inverted(PERMUTATIONS[x]))
    ],
    ("xyx", "S5"): lambda x, y: INDEX[
        after(after(PERMUTATIONS[x], PERMUTATIONS[y]), PERMUTATIONS[x])
    ],
}


def rows_by_hand(function, order):
    """(x, y, z) in the order of a nested loop; None leaves a row out."""
    rows = ((x, y, function(x, y)) for x in range(order) for y in range(order))
    return [row for row in rows if row[2] is not None]


def rows_of(operation, structure_name):
    result = operation_table(operation, structure_name)
    return list(zip(result.x_N.tolist(), result.y_N.tolist(), result.z_N.tolist()))


# --- The named operations ---


def test_the_paper_has_twelve_operations_and_its_code_five_more():
    origins = [origin for _, _, origin in NAMED]
    assert (origins.count("paper"), origins.count("released code")) == (12, 5)


def test_every_named_operation_is_checked_by_hand():
    assert sorted(BY_HAND) == sorted((operation, name) for operation, name, _ in NAMED)


@pytest.mark.parametrize("operation, name", BY_HAND)
def test_every_named_table_row_by_row(operation, name):
    assert rows_of(operation, name) == rows_by_hand(
        BY_HAND[operation, name], {"Z97": 97, "S5": 120}[name]
    )


@pytest.mark.parametrize("operation, name, _", NAMED)
def test_named_sizes(operation, name, _):
    expected = {("x/y", "Z97"): 97 * 96}.get((operation, name), {"Z97": 97**2, "S5": 120**2}[name])
    assert operation_table(operation, name).rows == expected


def test_quotient_times_divisor_is_the_dividend():
    quotients = operation_table("x/y", "Z97")
    products = operation_table("x*y", "Z97").answers
    np.testing.assert_array_equal(products[quotients.z_N, quotients.y_N], quotients.x_N)
    assert (quotients.answers[:, 0] == -1).all() and (quotients.answers[:, 1:] >= 0).all()


def test_the_domain_in_words():
    assert operation_table("x+y", "Z97").domain == "x, y in Z97"
    assert operation_table("x/y", "Z97").domain == "x, y in Z97, y != 0"
    assert (
        operation_table("1/(xy)", "Z5").domain == "x, y in Z5, without 9 pairs that divide by zero"
    )


def test_tables_are_shared_and_cannot_be_written_to():
    result = operation_table("x+y", "Z5")
    assert result is operation_table("x+y", "Z5") and result.structure is structure("Z5")
    for array in (result.answers, result.x_N, result.structure.product, result.structure.inverse):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 1
        assert array.dtype == np.int32


# --- Structures ---


@pytest.mark.parametrize("name", GROUPS)
def test_group_axioms(name):
    group = structure(name)
    product, element = group.product, np.arange(group.order)
    assert product.shape == (group.order, group.order) and len(set(group.labels)) == group.order
    assert product.min() == 0 and product.max() == group.order - 1
    for x in element:  # (x y) z = x (y z) for all y, z
        np.testing.assert_array_equal(product[product[x]], product[x][product])
    np.testing.assert_array_equal(product[group.identity], element)
    np.testing.assert_array_equal(product[:, group.identity], element)
    assert (product[element, group.inverse] == group.identity).all()
    assert (product[group.inverse, element] == group.identity).all()


@pytest.mark.parametrize(
    "name, order",
    [
        ("Z97", 97),
        ("S5", 120),
        ("S6", 720),
        ("A5", 60),
        ("A6", 360),
        ("D7", 14),
        ("Z2xS3", 12),
        ("D4xA3xZ2", 48),
    ],
)
def test_orders(name, order):
    assert structure(name).order == order == len(structure(name).labels)


def test_the_symmetric_group_applies_the_left_factor_first():
    group = structure("S5")
    assert (
        group.labels[0] == "01234" and group.labels[1] == "01243" and group.labels[119] == "43210"
    )
    assert list(group.labels) == sorted(group.labels)
    x, y = (
        group.labels.index("10234"),
        group.labels.index("02134"),
    )  # (0 1), then (1 2): 0 -> 1 -> 2
    assert group.labels[group.product[x, y]] == "20134"
    np.testing.assert_array_equal(group.permutations, PERMUTATIONS)


def test_the_alternating_group_is_the_closed_half_of_even_permutations():
    even, full = structure("A5"), structure("S5")
    determinants = [
        round(np.linalg.det(np.eye(5)[list(permutation)])) for permutation in PERMUTATIONS
    ]
    assert list(even.labels) == [
        label for label, sign in zip(full.labels, determinants) if sign == 1
    ]
    place = np.array([full.labels.index(label) for label in even.labels])
    np.testing.assert_array_equal(place[even.product], full.product[np.ix_(place, place)])


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_dihedral_group_against_rotation_and_reflection_matrices(n):
    group = structure(f"D{n}")
    turn = 2 * np.pi / n
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    flip = np.diag([1.0, -1.0])
    matrices = {f"r{k}": np.linalg.matrix_power(rotation, k) for k in range(n)}
    matrices |= {f"s{k}": np.linalg.matrix_power(rotation, k) @ flip for k in range(n)}
    for (a, left), (b, right) in itertools.product(matrices.items(), repeat=2):
        label = group.labels[group.product[group.labels.index(a), group.labels.index(b)]]
        np.testing.assert_allclose(matrices[label], left @ right, atol=1e-9)


def test_dihedral_relations():
    group = structure("D7")
    r, s = group.labels.index("r1"), group.labels.index("s0")
    assert (
        operation_table("yxy", "D7").answers[r, s] == group.inverse[r] == group.labels.index("r6")
    )
    assert (
        operation_table("x^7", "D7").answers[r, 0]
        == group.identity
        == operation_table("x^2", "D7").answers[s, 0]
    )


def test_a_direct_product_multiplies_factor_by_factor():
    pair, left, right = structure("Z2xS3"), structure("Z2"), structure("S3")
    assert pair.labels[0] == "0|012" and pair.labels[7] == "1|021"
    for (i, a), (j, b) in itertools.product(enumerate(pair.labels), repeat=2):
        (a0, a1), (b0, b1) = a.split("|"), b.split("|")
        first = left.product[left.labels.index(a0), left.labels.index(b0)]
        second = right.product[right.labels.index(a1), right.labels.index(b1)]
        assert pair.labels[pair.product[i, j]] == f"{left.labels[first]}|{right.labels[second]}"


def test_only_integers_mod_n_are_rings():
    assert structure("Z12").is_ring and structure("Z12").modulus == 12
    for name in ("S3", "D4", "Z2xZ3"):
        assert not structure(name).is_ring and structure(name).modulus is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Z",
        "Q8",
        "Z1",
        "Z0",
        "Z05",
        "S1",
        "A2",
        "D1",
        "z97",
        "Z97 ",
        "Z2x",
        "xZ2",
        "Z2xxZ3",
        "Z-3",
        "Z2.5",
        "Z٣",
        "Z97\n",
    ],
)
def test_unknown_structures(name):
    with pytest.raises(GrokError, match="structure") as error:
        structure(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["S8", "A8", "S99999", "Z5041", "Z1000003", "Z1" + 5000 * "0", "D2521", "Z100xZ100", "S5xS5"],
    ids=lambda name: name[:9],
)
def test_structures_that_do_not_fit(name):
    with pytest.raises(GrokError, match="too large: at most 5040 elements"):
        structure(name)


# --- The grammar ---


@pytest.mark.parametrize(
    "operation, function",
    [
        ("x/yx", lambda x, y: quotient(x, y) * x % P if y else None),  # (x/y)x, not x/(yx)
        ("x/y/x", lambda x, y: quotient(quotient(x, y), x) if x and y else None),
        ("x-y-x", lambda x, y: -y % P),
        ("x-(y-x)", lambda x, y: (2 * x - y) % P),
        ("-x^2", lambda x, y: -(x**2) % P),
        ("(-x)^2", lambda x, y: x**2 % P),
        ("--x*-y", lambda x, y: -x * y % P),
        ("x--y", lambda x, y: (x + y) % P),
        ("2(x+1)(y-1)x", lambda x, y: 2 * (x + 1) * (y - 1) * x % P),
        ("xy^2", lambda x, y: x * y**2 % P),
        ("x^2y", lambda x, y: x**2 * y % P),
        ("x^2 + 3xy + 1", lambda x, y: (x**2 + 3 * x * y + 1) % P),
        ("100000000000000000000x", lambda x, y: 10**20 * x % P),
        ("x^96 + y^9999", lambda x, y: (pow(x, 96) + pow(y, 9999, P)) % P),
        ("x^0", lambda x, y: 1),
        ("x^-2", lambda x, y: pow(x, -2, P) if x else None),
        ("x^(-2)", lambda x, y: pow(x, -2, P) if x else None),
        (
            "0(x/y)",
            lambda x, y: 0 if y else None,
        ),  # a division that is used decides, whatever multiplies it
        ("x/(y-x)", lambda x, y: quotient(x, y - x)),
        ("x²·y − 3÷y³", lambda x, y: (x**2 * y - 3 * pow(y, -3, P)) % P if y else None),
        ("xy⁻¹", quotient),
        ("x/y if y is odd else x-y", BY_HAND["x/y if y odd else x-y", "Z97"]),
        ("x/y if y even else x", lambda x, y: x if y % 2 else quotient(x, y)),
        (
            "x if y odd else y if x odd else xy",
            first_odd,
        ),
        ("2(x if y odd else 1)+y", lambda x, y: (2 * (x if y % 2 else 1) + y) % P),
    ],
)
def test_precedence_and_meaning_over_the_integers_mod_97(operation, function):
    assert rows_of(operation, "Z97") == rows_by_hand(function, P)


@pytest.mark.parametrize(
    "operation, word",
    [
        ("x*y", "xy"),
        ("x y", "xy"),
        ("x^2y", "xxy"),
        ("xy^-1", "xY"),
        ("x/y", "xY"),
        ("x/yx", "xYx"),
        ("(xy)^-1", "YX"),
        ("xyx^-1y^-1", "xyXY"),
        ("x(yx)^2", "xyxyx"),
        ("(x^-2y)^-3", "YxxYxxYxx"),
        ("yx⁻¹", "yX"),
        ("x^0y", "y"),
    ],
)
def test_words_in_s4(operation, word):
    """Capitals are inverses; the word is multiplied out from its letters."""
    elements = list(itertools.permutations(range(4)))

    def value(x, y):
        letters = {
            "x": elements[x],
            "y": elements[y],
            "X": inverted(elements[x]),
            "Y": inverted(elements[y]),
        }
        result = tuple(range(4))
        for letter in word:
            result = after(result, letters[letter])
        return elements.index(result)

    assert rows_of(operation, "S4") == rows_by_hand(value, 24)


def test_products_are_the_rings_over_z_and_the_groups_elsewhere():
    assert operation_table("xy", "Z3").answers[2, 2] == 1  # 2 · 2 mod 3
    pair = structure("Z3xZ2")
    assert (
        pair.labels[
            operation_table("xy", "Z3xZ2").answers[
                pair.labels.index("2|1"), pair.labels.index("2|1")
            ]
        ]
        == "1|0"
    )


def test_polynomials_need_no_prime():
    assert rows_of("x^2+3xy-7", "Z12") == rows_by_hand(
        lambda x, y: (x * x + 3 * x * y - 7) % 12, 12
    )


def test_division_by_two_elements():
    assert rows_of("x/y", "Z2") == [(0, 1, 0), (1, 1, 1)]


@st.composite
def monomial_sums(draw):
    """A polynomial as text, and as its list of (coefficient, power of x, power of y)."""
    monomials = draw(
        st.lists(
            st.tuples(st.integers(-200, 200), st.integers(0, 12), st.integers(0, 12)),
            min_size=1,
            max_size=6,
        )
    )
    terms = []
    for coefficient, i, j in monomials:
        factors = [str(abs(coefficient))] + [
            f"{v}^{e}" if e != 1 else v for v, e in (("x", i), ("y", j)) if e
        ]
        joint = draw(st.sampled_from(["", "*", " "])) if len(factors) > 1 else ""
        terms.append(("-" if coefficient < 0 else "+") + joint.join(factors))
    return "".join(terms).removeprefix("+"), monomials


@settings(max_examples=150, deadline=None)
@given(polynomial=monomial_sums(), modulus=st.sampled_from([2, 6, 7, 16]))
def test_random_polynomials(polynomial, modulus):
    text, monomials = polynomial
    expected = rows_by_hand(
        lambda x, y: sum(c * x**i * y**j for c, i, j in monomials) % modulus, modulus
    )
    assert rows_of(text, f"Z{modulus}") == expected


def combine(children):
    """Trees of (text, function), in parentheses; a function returns None at a division by 0."""

    def lift(function):
        return lambda *values: None if None in values else function(*values)

    def binary(pattern, function):
        function = lift(function)
        return st.builds(
            lambda a, b: (
                pattern.format(a[0], b[0]),
                lambda x, y: function(a[1](x, y), b[1](x, y)),
            ),
            children,
            children,
        )

    def powered(exponent):
        def value(base):
            return None if exponent < 0 and base % 7 == 0 else pow(base, exponent, 7)

        return children.map(
            lambda a: (f"({a[0]})^{exponent}", lambda x, y: lift(value)(a[1](x, y)))
        )

    def conditional(a, b, operand, odd):
        def value(x, y):
            deciding = x if operand == "x" else y
            return (a[1] if deciding % 2 == odd else b[1])(x, y)

        return f"({a[0]}) if {operand} {'odd' if odd else 'even'} else ({b[0]})", value

    return st.one_of(
        binary("({})+({})", lambda a, b: a + b),
        binary("({}) - ({})", lambda a, b: a - b),
        binary("({})({})", lambda a, b: a * b),
        binary("({})*-({})", lambda a, b: -a * b),
        binary("({})/({})", lambda a, b: a * pow(b, -1, 7) if b % 7 else None),
        st.integers(-3, 9).flatmap(powered),
        st.builds(conditional, children, children, st.sampled_from("xy"), st.sampled_from([0, 1])),
    )


LEAVES = st.one_of(
    st.just(("x", lambda x, y: x)),
    st.just(("y", lambda x, y: y)),
    st.integers(0, 20).map(lambda n: (str(n), lambda x, y: n)),
)


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, combine, max_leaves=8).filter(lambda tree: len(tree[0]) <= 500))
def test_random_trees_over_z7(tree):
    text, function = tree

    def value(x, y):
        result = function(x, y)
        return None if result is None else result % 7

    expected = rows_by_hand(value, 7)
    if expected:
        assert rows_of(text, "Z7") == expected
    else:
        with pytest.raises(GrokError, match="divides by zero for every x and y"):
            operation_table(text, "Z7")


ALPHABET = [
    "x",
    "y",
    "0",
    "1",
    "23",
    "+",
    "-",
    "*",
    "/",
    "^",
    "(",
    ")",
    " ",
    "if ",
    "else ",
    "odd",
    "even",
    "is ",
    "²",
    "⁻",
    "·",
]
JUNK = st.one_of(
    st.text(max_size=30), st.lists(st.sampled_from(ALPHABET), max_size=14).map("".join)
)


@settings(max_examples=400, deadline=None)
@given(text=JUNK, name=st.sampled_from(["Z5", "Z6", "S3", "Z2xZ2"]))
def test_junk_is_a_table_or_one_clear_line(text, name):
    try:
        result = operation_table(text, name)
    except GrokError as error:
        assert len(str(error).splitlines()) == 1
        assert "position" in str(error) or "divides by zero" in str(error)
    else:
        assert 0 < result.rows <= structure(name).order ** 2
        assert result.z_N.min() >= 0 and result.z_N.max() < structure(name).order


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=8), st.text(alphabet="ZSADx0123", max_size=4)))
def test_junk_structures(name):
    try:
        assert structure(name).name == name
    except GrokError as error:
        assert len(str(error).splitlines()) == 1 and "structure" in str(error)


@pytest.mark.parametrize(
    "operation, name, position, what",
    [
        ("", "Z7", 1, "expected x, y, a number or '('"),
        ("x+", "Z7", 3, "found the end"),
        ("x ? y", "Z7", 3, "found '?'"),
        ("x^^2", "Z7", 3, "whole number as exponent"),
        ("x^y", "Z7", 3, "whole number as exponent"),
        ("x^2^3", "Z7", 4, "found '^'"),
        ("(x+y", "Z7", 5, "expected ')'"),
        ("x+y)", "Z7", 4, "found ')'"),
        ("xy2", "Z7", 3, "write 2x or x^2"),
        ("x if odd else y", "Z7", 6, "expected x or y after 'if'"),
        ("x if y then y", "Z7", 8, "found 't'"),
        ("x if y odd", "Z7", 11, "expected 'else'"),
        ("x^10001", "Z7", 3, "at most 10000"),
        ("(" * 51 + "x" + ")" * 51, "Z7", 51, "nested too deeply"),
        ("x if y odd else " * 31, "Z7", 497, "found the end"),
        ("x/y", "Z96", 2, "96 is composite: choose Z97"),
        ("x+y^-1", "Z9", 4, "9 is composite: choose Z11"),
        ("x if y odd else 2(x/3)", "Z4", 20, "4 is composite: choose Z5"),
        ("x+y", "S5", 2, "no meaning in the group S5: write a word such as xyx"),
        ("xy(-x)", "S5", 4, "sign has no meaning"),
        ("2x", "Z2xZ3", 1, "a number has no meaning in the group Z2xZ3"),
        ("x if y odd else y", "D5", 3, "'odd' or 'even' has no meaning"),
    ],
)
def test_bad_expressions_name_the_position(operation, name, position, what):
    with pytest.raises(GrokError) as error:
        operation_table(operation, name)
    assert f"position {position}:" in str(error.value) and what in str(error.value)


def test_absurd_expressions():
    assert operation_table("-" * 499 + "x", "Z7").answers[1, 0] == 6
    assert operation_table("x" * 500, "Z7").answers[3, 0] == pow(3, 500, 7)
    assert operation_table("x+" * 249 + "x", "Z7").answers[2, 0] == 250 * 2 % 7
    assert operation_table("(" * 49 + "x" + ")" * 49, "Z7").rows == 49
    with pytest.raises(GrokError, match="501 characters is too long"):
        operation_table("x" * 501, "Z7")
    with pytest.raises(GrokError, match="divides by zero for every x and y in Z7"):
        operation_table("x/7", "Z7")
