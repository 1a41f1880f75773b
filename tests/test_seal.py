"""Is a seal accepted exactly when nobody touched what it seals, and a chain whole exactly when nothing is missing?"""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fabgate.errors import SealError, UsageError
from fabgate.seal import ZERO_HASH, Keys, entry_hash, first_break, first_prev, from_text, to_text
from tests.support.vectors import table

KEYS = Keys({"k1": bytes(range(32)), "k2": bytes(range(16))})


# --- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kid", "key", "purpose", "gate", "payload", "seal"), table("Seals"))
def test_seals_are_those_of_the_vectors(kid, key, purpose, gate, payload, seal):
    keys = Keys({kid: bytes.fromhex(key)})
    assert keys.seal(purpose, gate, payload.encode()) == seal
    assert keys.verify(seal, purpose, gate, payload.encode()) == kid


@pytest.mark.parametrize(("text", "digest", "written"), table("The chain"))
def test_hashes_are_those_of_the_vectors(text, digest, written):
    assert entry_hash(text.encode()).hex() == digest
    assert first_prev(text).hex() == digest
    assert to_text(bytes.fromhex(digest)) == written
    assert from_text(written).hex() == digest


# --- seals ------------------------------------------------------------------------------------------------------------

words = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
gates = st.from_regex(r"[a-z0-9]{1,8}/[a-z0-9-]{1,8}", fullmatch=True)


@given(purpose=words, gate=gates, payload=st.binary(max_size=200))
def test_a_seal_is_accepted_by_who_has_the_key(purpose, gate, payload):
    assert KEYS.verify(KEYS.seal(purpose, gate, payload), purpose, gate, payload) == "k1"


@given(
    payload=st.binary(max_size=60),
    other=st.tuples(st.sampled_from(["roster", "command"]), gates, st.binary(max_size=60)),
)
def test_a_seal_of_one_thing_is_no_seal_of_another(payload, other):
    sealed = ("roster", "lyon/laser-1", payload)
    assume(other != sealed)
    with pytest.raises(SealError, match="is wrong"):
        KEYS.verify(KEYS.seal(*sealed), *other)


@given(data=st.data())
def test_a_seal_with_any_character_changed_added_or_gone_is_refused(data):
    seal = KEYS.seal("roster", "lyon/laser-1", b"payload")
    at = data.draw(st.integers(0, len(seal) - 1))
    put = data.draw(st.text(max_size=3))
    gone = data.draw(st.integers(0, 2))
    tampered = seal[:at] + put + seal[at + gone :]
    assume(tampered != seal)
    with pytest.raises(SealError):
        KEYS.verify(tampered, "roster", "lyon/laser-1", b"payload")


@given(seal=st.text(max_size=80) | st.text(max_size=80).map(lambda text: f"k1:{text}"))
def test_no_text_is_a_seal_or_crashes_it(seal):
    with pytest.raises(SealError):
        KEYS.verify(seal, "roster", "lyon/laser-1", b"payload")


def test_the_several_base64_spellings_of_one_seal_are_not_all_accepted():
    seal = KEYS.seal("roster", "lyon/laser-1", b"payload")
    body = seal.partition(":")[2]
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        spelled = f"{body[:-2]}{last}="
        if spelled != body and base64.b64decode(spelled) == base64.b64decode(body):
            with pytest.raises(SealError):
                KEYS.verify(f"k1:{spelled}", "roster", "lyon/laser-1", b"payload")


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_seal_is_refused(missing):
    with pytest.raises(SealError, match="found no seal on a roster for lyon/laser-1, wanted one"):
        KEYS.verify(missing, "roster", "lyon/laser-1", b"")


def test_an_unknown_key_is_named_with_those_that_are_known():
    seal = Keys({"old": bytes(32)}).seal("roster", "lyon/laser-1", b"")
    with pytest.raises(SealError, match="is sealed with the key 'old', but the known keys are k1, k2"):
        KEYS.verify(seal, "roster", "lyon/laser-1", b"")


def test_the_first_key_signs_and_all_of_them_verify_so_that_keys_can_be_changed():
    old, both = Keys({"k2": bytes(range(16))}), KEYS
    assert both.seal("roster", "a/b", b"").startswith("k1:")
    assert both.verify(old.seal("roster", "a/b", b""), "roster", "a/b", b"") == "k2"


# --- key files --------------------------------------------------------------------------------------------------------

GOOD = base64.b64encode(bytes(range(16))).decode()


def test_a_key_file_has_a_key_a_line_with_comments_and_blank_lines(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# the gate's keys\n\nk1: {GOOD}\n k2:{base64.b64encode(bytes(32)).decode()} \n")
    assert Keys.load(path).by_id == {"k1": bytes(range(16)), "k2": bytes(32)}
    assert list(Keys.load(path).by_id) == ["k1", "k2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no key, wanted at least one"),
        ("# nothing\n", "found no key"),
        (GOOD, "line 1: wanted 'kid:base64-key'"),
        (f"\nbad kid:{GOOD}", "line 2: wanted 'kid:base64-key'"),
        (f"{'k' * 33}:{GOOD}", "line 1: wanted"),
        ("k1:not base64", "line 1: the key of 'k1' is not base64"),
        ("k1:é", "line 1: the key of 'k1' is not base64"),
        ("k1:AAAA", "has 3 bytes, wanted at least 16"),
        (f"k1:{GOOD}\nk1:{GOOD}", "line 2: found the key id 'k1' again"),
    ],
)
def test_a_wrong_key_file_is_refused_by_line_without_quoting_a_key(text, message):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        Keys.parse(text, where="keys")
    assert GOOD not in str(caught.value)


def test_a_key_file_that_is_missing_or_no_text_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        Keys.load(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        Keys.load(tmp_path / "binary")


def test_a_key_never_stands_in_a_log():
    assert repr(Keys({"k1": b"secret" * 4})) == "Keys()"


# --- the chain --------------------------------------------------------------------------------------------------------


@given(digest=st.binary(min_size=32, max_size=32))
def test_a_hash_comes_back_from_its_text(digest):
    assert from_text(to_text(digest)) == digest


@pytest.mark.parametrize("text", ["", "AAAA", "é" * 44, "!" * 44, to_text(bytes(31)), to_text(bytes(33)), "\ud800"])
def test_what_is_no_hash_is_refused_and_crashes_nothing(text):
    with pytest.raises(SealError, match="wanted the base64 of a 32-byte hash"):
        from_text(text)


def chain(bodies: list[bytes], *, after: int, prev: bytes) -> list[tuple[int, bytes, bytes]]:
    found = []
    for seq, body in enumerate(bodies, after + 1):
        found.append((seq, prev, body))
        prev = entry_hash(body)
    return found


bodies = st.lists(st.binary(max_size=20), min_size=2, max_size=8, unique=True)


@given(bodies=bodies, after=st.integers(0, 99))
def test_an_untouched_chain_is_whole(bodies, after):
    assert first_break(chain(bodies, after=after, prev=ZERO_HASH), after=after, prev=ZERO_HASH) is None
    assert first_break([], after=after, prev=ZERO_HASH) is None


@given(bodies=bodies, data=st.data())
def test_an_edit_a_deletion_an_insertion_and_a_swap_break_it_there(bodies, data):
    links = chain(bodies, after=0, prev=ZERO_HASH)
    at = data.draw(st.integers(0, len(links) - 2))
    seq, prev, body = links[at]
    edited = [*links[:at], (seq, prev, body + b"!"), *links[at + 1 :]]
    assert first_break(edited, after=0, prev=ZERO_HASH) == seq + 1
    deleted = [*links[:at], *links[at + 1 :]]
    assert first_break(deleted, after=0, prev=ZERO_HASH) == seq
    inserted = [*links[:at], (seq, b"?" * 32, b"new"), *links[at:]]
    assert first_break(inserted, after=0, prev=ZERO_HASH) == seq
    swapped = [*links[:at], links[at + 1], links[at], *links[at + 2 :]]
    assert first_break(swapped, after=0, prev=ZERO_HASH) == seq
    assert first_break(links, after=0, prev=b"?" * 32) == 1
