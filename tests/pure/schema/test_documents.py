"""Files are read as kubectl reads them: its scalars, its separators, its lists; and a fault has a place."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_operator.schema import Document, UnreadableDocumentError, documents

ON_A_BUSY_MACHINE = settings(deadline=None)
# Each as `kubectl create --dry-run=client -o json` gives it back.
SCALARS = [
    ("on", True),
    ("y", True),
    ("Yes", True),
    ("TRUE", True),
    ("n", False),
    ("off", False),
    ("tRUE", "tRUE"),
    ("~", None),
    ("Null", None),
    ("", None),
    ("0.15", 0.15),
    ("1.0", 1),
    ("1e3", 1000),
    ("5.", 5),
    (".5", 0.5),
    ("-.5", -0.5),
    ("010", 8),
    ("08", 8),
    ("0o10", 8),
    ("0x1F", 31),
    ("-0b11", -3),
    ("1_000", 1000),
    ("1_0.5", 10.5),
    ("+5", 5),
    ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("0x", "0x"),
    ("1e", "1e"),
    ("1e999", "1e999"),
    ("9223372036854775807", 2**63 - 1),
    ("9223372036854775808", 2.0**63),
    ("1152921504606846976.0", 1152921504606847000),
    ("'5'", "5"),
    ('"on"', "on"),
    ("!!str 5", "5"),
    ("!!int '5'", 5),
    ("!!float 5", 5),
    ("!!bool 'yes'", True),
    ("!!binary aGk=", "hi"),
    ("!something 5", "5"),
]


@pytest.mark.parametrize(("written", "read"), SCALARS, ids=[written or "nothing" for written, _ in SCALARS])
def test_a_scalar_is_what_kubectl_takes_it_for(written: str, read: object) -> None:
    [document] = documents(f"value: {written}\n", source="x.yaml")
    assert (document.value["value"], type(document.value["value"])) == (read, type(read))


def values(text: str) -> list[Any]:
    return [document.value for document in documents(text, source="x.yaml")]


def test_every_document_knows_the_line_where_it_starts() -> None:
    text = "# provider\n\na: 1\n---\n---  # nothing\n# only a comment\n---\n\nb: 2\n--- # policy\nc: 3"
    assert documents(text, source="x.yaml") == [
        Document(source="x.yaml", line=3, value={"a": 1}),
        Document(source="x.yaml", line=9, value={"b": 2}),
        Document(source="x.yaml", line=11, value={"c": 3}),
    ]


def test_json_is_read_one_value_after_another_and_beside_yaml() -> None:
    text = '{"a": 1.0,\n "b": "\\ud83d\\ude00\\/"}\n{"c": [1e2, true, null]}\n---\nd: 4\n---\n{e: 5,}\n'
    assert documents(text, source="x.json") == [
        Document(source="x.json", line=1, value={"a": 1, "b": "😀/"}),
        Document(source="x.json", line=3, value={"c": [100, True, None]}),
        Document(source="x.json", line=5, value={"d": 4}),
        Document(source="x.json", line=7, value={"e": 5}),
    ]


TEXTS = st.text(st.characters(categories=["L", "N", "P", "S"]))
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


@ON_A_BUSY_MACHINE
@given(st.recursive(SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_is_the_same_value_whether_read_as_json_or_as_yaml(value: Any) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False)
    assert values(text) == values(f"# no JSON\n{text}")


def test_the_items_of_a_list_come_one_by_one() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- a: 1\n\n- b: 2\n---\napiVersion: v1\nkind: List\nitems: []\n"
    assert [(document.line, document.value) for document in documents(text, source="x")] == [
        (4, {"a": 1}),
        (6, {"b": 2}),
    ]
    assert values('{"apiVersion": "v1", "kind": "List", "items": [{"a": 1}, {"b": 2}]}') == [{"a": 1}, {"b": 2}]


def test_keys_become_text_as_json_needs_it() -> None:
    assert values("{1: a, true: b, 1.5: c, 0x10: d}") == [{"1": "a", "true": "b", "1.5": "c", "16": "d"}]


def test_anchors_are_followed_and_mappings_merged_in_the_order_of_their_keys() -> None:
    text = "a: &a {x: 1, z: 2}\nb: &b {x: 5, w: 6}\nfirst: {<<: *a, x: 3}\nlast: {x: 3, <<: *a}\nboth: {<<: [*a, *b]}\n"
    [value] = values(text)
    assert value["first"] == {"x": 3, "z": 2}
    assert value["last"] == {"x": 1, "z": 2}
    assert value["both"] == {"x": 1, "z": 2, "w": 6}


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert values("\ufeffa: 1\r\n---\r\nb: |\r\n  x\r\n") == [{"a": 1}, {"b": "x\n"}]


UNREADABLE = [
    ("an open list", "a: 1\n---\nb: [\n", "x.yaml:4:1: while parsing a flow node, did not find expected node content"),
    ("a second colon", "a: b: c\n", "x.yaml:1:5: mapping values are not allowed in this context"),
    ("a control character", "a: 1\nb: \x01\n", "x.yaml:2:4: the character U+0001 is not allowed here"),
    (
        "a key that stands twice",
        "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n",
        "x.yaml:5:3: the key 'c' stands twice, first in line 3",
    ),
    ("a key that stands twice in JSON", '{"a": 1,\n "a": 2}', "x.yaml:2:2: the key 'a' stands twice, first in line 1"),
    (
        "text behind a separator",
        "a: 1\n--- b: 2\n",
        "x.yaml:2:4: only a comment may follow ---; write 'b: 2' into the next line",
    ),
    (
        "text behind an end marker",
        "a: 1\n...\nb: 2\n",
        "x.yaml:2:1: kubectl reads no further than an end marker; start the next document with ---",
    ),
    ("an unknown alias", "a: *b\n", "x.yaml:1:4: *b has no &b before it"),
    ("a value in itself", "a: &a [*a]\n", "x.yaml:1:8: &a contains itself"),
    ("a merge of a number", "<<: 3\n", "x.yaml:1:5: << needs a mapping or a list of mappings"),
    ("a list as a key", "? [a]\n: b\n", "x.yaml:1:3: a key must be a string"),
    ("a key that is null", "~: b\n", "x.yaml:1:1: a key must be a string"),
    (
        "a number that JSON does not have",
        "a: .inf\n",
        "x.yaml:1:4: JSON, which a resource travels as, has no number .inf",
    ),
    ("a tag that does not fit", "a: !!int x\n", "x.yaml:1:4: 'x' cannot be read as !!int"),
    ("bytes that are no text", "a: !!binary /w==\n", "x.yaml:1:4: !!binary must hold base64 of UTF-8"),
    ("hostile nesting", "[" * 200_000, "x.yaml:1:102: values nest more than 100 deep"),
    ("hostile nesting in JSON", '{"a":' * 200_000, "x.yaml:1:502: values nest more than 100 deep"),
    (
        "aliases of aliases",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n" for x, y in zip("abcdef", "bcdefg", strict=True)),
        "x.yaml:6:36: aliases blow this document up to more than 1,000,000 values",
    ),
]


@pytest.mark.parametrize(("text", "complaint"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE])
def test_unreadable_text_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UnreadableDocumentError) as refused:
        documents(text, source="x.yaml")
    assert str(refused.value) == complaint


@ON_A_BUSY_MACHINE
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"# \n\t?,%@`~<.0")))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    lines = range(1, text.count("\n") + 2)
    assert all(line in lines for line in lines_named(text))


def lines_named(text: str) -> list[int]:
    """The lines where documents start, or the one that is complained of."""
    try:
        return [document.line for document in documents(text, source="x.yaml")]
    except UnreadableDocumentError as refused:
        return [refused.line]
