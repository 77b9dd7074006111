from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from nas_core.errors import InputError
from topo_sweep.spec.strict_yaml import (
    SIZE_LIMIT,
    Draft,
    parse_scalar,
    parse_yaml,
    read_yaml,
    shown_value,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1", max_size=3), inner),
    max_leaves=5,
)


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "a.yaml")
    message = str(caught.value)
    assert message.startswith("a.yaml")
    assert message.isprintable(), "one line"
    return message


@pytest.mark.parametrize(
    "spelling", ["1e-3", "1.0e-3", "0.001", "1E-3", ".001", "+0.1e-2", "10e-4"]
)
def test_all_spellings_of_a_number_are_the_same_number(spelling: str) -> None:
    value = parse_yaml(f"learning_rate: {spelling}", "a.yaml")["learning_rate"]

    assert isinstance(value, float)
    assert value == 0.001
    assert parse_scalar(spelling, "--set") == 0.001


@settings(max_examples=50)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["r", "e", "E", "f", "g"]))
def test_a_float_is_read_as_python_reads_it(number: float, spelling: str) -> None:
    text = repr(number) if spelling == "r" else format(number, f".17{spelling}")
    value = parse_scalar(text, "--set")

    assert value == float(text)
    assert isinstance(value, float) or text.lstrip("-").isdigit()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-1", -1),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0-4", "0-4"),
        ("2020-01-02", "2020-01-02"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("e5", "e5"),
        (".", "."),
        ("9" * 5000, "9" * 5000),
        ("'5'", "5"),
        ("5  # a remark", 5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    for read in (parse_scalar(text, "--set"), parse_yaml(f"key: {text}", "a.yaml")["key"]):
        assert read == value
        assert type(read) is type(value)


def test_not_a_number_is_a_float_too() -> None:
    value = parse_scalar(".nan", "--set")

    assert isinstance(value, float)
    assert math.isnan(value)


@settings(max_examples=30)
@given(st.dictionaries(st.text("ab1", max_size=3), VALUES, max_size=4))
def test_json_is_read_as_json_reads_it(values: dict[str, object]) -> None:
    assert parse_yaml(json.dumps(values, ensure_ascii=False), "a.yaml") == values


@settings(max_examples=50)
@given(st.text() | st.text("{}[]:,-?&*!|>'\"%@# \n\tab1.\\Ux"))
def test_any_text_is_keys_and_values_or_one_line_of_error(text: str) -> None:
    for read in (parse_yaml, parse_scalar):
        message = ""
        try:
            read(text, "a.yaml")
        except InputError as error:
            message = str(error)
        assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.yaml is empty: write keys and values"),
        ("# only a remark\n", "is empty"),
        ("- kind: topologies", "holds a list: write keys and values"),
        ("topologies", "holds a single value: write keys and values"),
        ("kind: [", "is not YAML: line 1, column 8"),
        ("kind: a\n\tb: 1", "is not YAML: line 2, column 1"),
        ("kind: a: b", "is not YAML: line 1, column 8: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", "is not YAML: line 2, column 1"),
        ("kind: \0", "is not YAML: character 6 is 0x0"),
        (r'kind: "\UFFFFFFFF"', "is not YAML"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is given twice: keep one"),
        ("s: {a: 1, a: 1}", "line 1, column 11: the key 'a' is given twice"),
        ("5: 1", "line 1, column 1: the key 5 is no text"),
        ("[a]: 1", "the key ['a'] is no text"),
        ("true: 1", "the key true is no text"),
        ("a: &x [1]\nb: *x", "line 2, column 4: aliases (*name) are not allowed"),
        ("a: &x {b: 1}\n<<: *x", "aliases (*name) are not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "tags (here 'tag:yaml.org,2002:python/object"),
        ("a: !!python/name:os.system", "are not allowed: write a plain value"),
        ("a: !mine 5", "tags (here '!mine') are not allowed"),
        ("a: ! 5", "tags (here '!') are not allowed"),
        ("a: !!int '5'", "tags (here 'tag:yaml.org,2002:int') are not allowed"),
        ("a: " + "[" * 21 + "]" * 21, "values are nested more than 20 levels deep"),
        ("a: " + "[" * 400_000, "values are nested more than 20 levels deep"),
        ("- " * 400_000, "values are nested more than 20 levels deep"),
        ("? " * 400_000, "values are nested more than 20 levels deep"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_with_its_place(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_every_bad_key_is_named_at_once() -> None:
    message = refusal("a: 1\na: 2\n5: 1\nb: {c: 1, c: 2}")

    assert message.count("a.yaml: line") == 3
    assert all(text in message for text in ("key 'a'", "key 5", "key 'c'"))


def test_a_flood_of_problems_still_is_a_line_that_one_can_read() -> None:
    message = refusal("a: 1\n" * 1000)

    assert len(message) < 10_000
    assert message.endswith("; and 899 more")


def test_merge_keys_are_ordinary_keys() -> None:
    assert parse_yaml("<<: {a: 1}", "a.yaml") == {"<<": {"a": 1}}


def test_a_list_is_no_single_value() -> None:
    with pytest.raises(InputError, match=r"^--set a: write a single value$"):
        parse_scalar("[1, 2]", "--set a")


def _latin_1(path: Path) -> None:
    path.write_bytes("name: gr\u00fcn".encode("latin-1"))


def _utf_16(path: Path) -> None:
    path.write_bytes("kind: topologies".encode("utf-16"))


def _too_large(path: Path) -> None:
    path.write_bytes(b"#" * (SIZE_LIMIT + 1))


def _ten_megabytes(path: Path) -> None:
    path.write_bytes(b"a: 1\n" * 2_000_000)


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_latin_1, "is not UTF-8 text: byte 8 is 0xfc"),
        (_utf_16, "is not UTF-8 text: byte 0 is 0xff"),
        (_too_large, "is larger than 1,000,000 bytes"),
        (_ten_megabytes, "is larger than 1,000,000 bytes"),
        (Path.mkdir, "is a folder: name a YAML file"),
        (lambda _path: None, "there is no file"),
        (_loop, "cannot be read: Too many levels of symbolic links"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], expected: str
) -> None:
    path = tmp_path / "sweep.yaml"
    make(path)
    with pytest.raises(InputError) as caught:
        read_yaml(path, "sweep.yaml")

    assert expected in str(caught.value)
    assert "sweep.yaml" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.slow
def test_a_file_of_just_the_size_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (SIZE_LIMIT - 5))

    assert read_yaml(path, "sweep.yaml") == {"a": 1}


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError, match="larger than"):
        read_yaml(Path("/dev/zero"), "/dev/zero")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")

    assert read_yaml(path, "sweep.yaml") == {"a": 1}


class Settings(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    epochs: int = Field(ge=1)
    flip: bool = True
    rate: float = 0.1
    title: str = ""


def test_a_draft_notes_every_problem_with_file_key_value_and_what_is_allowed() -> None:
    draft = Draft("a.yaml", {}, advice={"s.epochs": "count passes"})
    values = {"flip": "no", "rate": None, "title": 5, "epohcs": 3, "zzz": True}

    assert draft.checked(Settings, values, "s", also=frozenset({"preset"})) is None
    assert draft.problems == [
        "a.yaml: s.epochs is missing: count passes",
        "a.yaml: s.flip = 'no': write true or false",
        "a.yaml: s.rate = null: write a number",
        "a.yaml: s.title = 5: write text",
        "a.yaml: s.epohcs = 3: unknown key (did you mean epochs?)",
        "a.yaml: s.zzz = true: unknown key (valid keys: epochs, flip, preset, rate, title)",
    ]


def test_a_problem_of_a_given_value_names_how_it_was_given() -> None:
    draft = Draft("a.yaml", {"s": {"epochs": 5}})
    draft.give(("s", "epochs"), 0, "--epochs 0")

    assert draft.checked(Settings, draft.values["s"], "s") is None
    assert draft.problems == ["--epochs 0: must be greater than or equal to 1"]


def test_a_draft_without_problems_gives_the_model() -> None:
    draft = Draft("a.yaml", {})

    assert draft.checked(Settings, {"epochs": 3}) == Settings(epochs=3)
    assert draft.problems == []


def test_long_and_odd_values_are_shown_in_one_short_line() -> None:
    assert shown_value("a\nb") == r"'a\nb'"
    assert len(shown_value("x" * 1000)) == 80

    draft = Draft("a.yaml", {})
    draft.refuse(("a\nb" * 100,), 1, "no")
    assert draft.problems[0].isprintable()
    assert len(draft.problems[0]) < 120
