"""The transparency log: Merkle tree, proofs, checkpoints and their signatures."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreement.seal import log

#: The eight entries of RFC 6962's reference tests, and the roots of their trees.
ENTRIES = [bytes.fromhex(one) for one in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = """
6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
""".split()
SECRET = base64.b64encode(hashlib.sha256(b"a key for tests").digest()).decode()


def tree(size: int, *, hashes: list[bytes] | None = None) -> log.Tree:
    """A tree over the hashes of the numbers, or over these hashes, whose tiles are computed from them."""
    leaves = hashes or [log.leaf_hash(str(index).encode()) for index in range(size)]

    def tile(level: int, number: int, width: int) -> bytes:
        span = log.TILE_WIDTH**level
        first = number * log.TILE_WIDTH
        assert width == log.tile_width(size, level, number) > 0
        return b"".join(log.root_hash(leaves[at * span : (at + 1) * span]) for at in range(first, first + width))

    return log.Tree(size, tile)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_the_reference_tests(size):
    hashes = [log.leaf_hash(entry) for entry in ENTRIES[:size]]

    assert log.root_hash(hashes).hex() == ROOTS[size - 1]
    assert tree(size, hashes=hashes).root().hex() == ROOTS[size - 1]


def test_the_root_of_no_entries_is_that_of_nothing():
    assert tree(0, hashes=[b""]).root() == log.root_hash([]) == hashlib.sha256().digest()


@given(st.data())
def test_a_proof_of_inclusion_leads_to_the_root_and_to_no_other(data):
    size = data.draw(st.integers(1, 700))
    index = data.draw(st.integers(0, size - 1))
    proof = tree(size).inclusion(index)
    leaf = log.leaf_hash(str(index).encode())

    assert log.root_from_inclusion(leaf, index, size, proof) == tree(size).root()
    assert len(proof) <= (size - 1).bit_length()
    assert log.root_from_inclusion(log.leaf_hash(b"x"), index, size, proof) != tree(size).root()
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index)) if size > 1 else None
    if other is not None:
        with contextlib.suppress(ValueError):  # The proof is not as long as one of that index.
            assert log.root_from_inclusion(leaf, other, size, proof) != tree(size).root()
    with pytest.raises(ValueError, match="too"):
        log.root_from_inclusion(leaf, index, size, [*proof, leaf])


@pytest.mark.parametrize(("size", "later"), [(256, 257), (255, 256), (65_536, 65_537), (1, 70_000), (69_999, 70_000)])
def test_proofs_cross_the_edges_of_tiles(size, later):
    hashes = [log.leaf_hash(str(index).encode()) for index in range(later)]
    cache = {}

    def tile(level, number, width):
        key = level, number, width
        if key not in cache:
            span, first = log.TILE_WIDTH**level, number * log.TILE_WIDTH
            cache[key] = b"".join(
                log.root_hash(hashes[at * span : (at + 1) * span]) for at in range(first, first + width)
            )
        return cache[key]

    big = log.Tree(later, tile)
    root = log.root_hash(hashes)
    assert big.root() == root
    for index in (0, size - 1, later - 1):
        assert log.root_from_inclusion(hashes[index], index, later, big.inclusion(index)) == root


def test_what_is_not_in_the_tree_has_no_proof():
    with pytest.raises(ValueError, match="no entry 3"):
        tree(3).inclusion(3)
    with pytest.raises(ValueError, match="no entry 3"):
        log.root_from_inclusion(b"", 3, 3, [])


def test_a_checkpoint_is_signed_and_openssl_verifies_it(tmp_path):
    checkpoint = log.Checkpoint(origin="portal.example/terms/log", size=3, root=tree(3).root())
    note = log.sign(checkpoint, SECRET)
    public = log.public_key_of(SECRET)

    assert log.Checkpoint.parse(note) == checkpoint
    assert log.signed_by(note, public) is True
    assert log.signed_by(note.replace("\n3\n", "\n4\n"), public) is False
    assert log.signed_by(checkpoint.body, public) is None
    assert log.signed_by(note, log.public_key_of(base64.b64encode(bytes(32)).decode())) is None
    # The signature is over the three lines, and openssl needs nothing else.
    body, signature = tmp_path / "body", tmp_path / "signature"
    body.write_text(checkpoint.body, encoding="utf-8")
    signature.write_bytes(base64.b64decode(note.splitlines()[-1].rpartition(" ")[2])[4:])
    key = tmp_path / "key.der"
    key.write_bytes(bytes.fromhex("302a300506032b6570032100") + public)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin", "-in", body]
    assert subprocess.run([*command, "-sigfile", signature], check=False, capture_output=True).returncode == 0
    body.write_text(checkpoint.body.replace("\n3\n", "\n4\n"), encoding="utf-8")
    assert subprocess.run([*command, "-sigfile", signature], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    "text",
    ["", "a", "a\n1\n", "a\n01\nAAAA\n", "a\n-1\n" + "A" * 43 + "=\n", "a\n1\nAAAA\n", "\n1\n" + "A" * 43 + "=\n"],
)
def test_another_text_is_no_checkpoint(text):
    with pytest.raises(ValueError, match="no checkpoint"):
        log.Checkpoint.parse(text)


def test_a_proof_is_a_text_that_is_read_back():
    checkpoint = log.Checkpoint(origin="portal.example/terms/log", size=5, root=tree(5).root())
    text = log.proof_text(2, tree(5).inclusion(2), log.sign(checkpoint, SECRET))

    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert log.parse_proof(text) == (2, tree(5).inclusion(2), log.sign(checkpoint, SECRET))
    for wrong in ("", "x\nindex 1\n\n", "c2sp.org/tlog-proof@v1\nindex x\n\n", "c2sp.org/tlog-proof@v1\n\n"):
        with pytest.raises(ValueError, match="no proof"):
            log.parse_proof(wrong)


def test_a_secret_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32"):
        log.public_key_of("AAAA")


@pytest.mark.parametrize(
    ("path", "level", "number", "width"),
    [
        ("0/000", 0, 0, 256),
        ("63/001.p/255", 63, 1, 255),
        ("1/x001/x234/067", 1, 1_234_067, 256),
        ("entries/x001/000.p/7", None, 1000, 7),
        ("0/x009/x223/x372/x036/x854/x775/807", 0, 2**63 - 1, 256),
    ],
)
def test_a_part_of_a_log_has_one_path(path, level, number, width):
    part = log.TilePath(level=level, number=number, width=width)
    assert str(part) == path
    assert log.TilePath.parse(path) == part


@given(st.text(alphabet="0123456789x./pentries", max_size=30))
def test_no_other_path_is_that_of_a_part(path):
    with contextlib.suppress(ValueError):
        assert str(log.TilePath.parse(path)) == path


def test_entries_follow_their_lengths():
    assert log.entry_bundle([b"", b"ab", b"c" * 300]) == b"\0\0" + b"\0\x02ab" + b"\x01\x2c" + b"c" * 300
    with pytest.raises(OverflowError):
        log.entry_bundle([bytes(65_536)])


def test_a_verifier_key_names_its_signatures_and_is_a_pem_for_openssl(tmp_path):
    # In Base64, a key may contain the sign that separates the parts of the line.
    secrets = [base64.b64encode(hashlib.sha256(bytes([place])).digest()).decode() for place in range(20)]
    checkpoint = log.Checkpoint(origin="portal.example/log", size=0, root=log.root_hash([]))
    keys = [log.verifier_key(checkpoint.origin, log.public_key_of(secret)) for secret in secrets]
    assert any(key.count("+") > 2 for key in keys)
    for secret, key in zip(secrets, keys, strict=True):
        note = log.sign(checkpoint, secret)
        assert [log.is_signed_with(note, one) for one in keys] == [one == key for one in keys]
        (tmp_path / "key.pem").write_text(log.public_key_pem(key), encoding="utf-8")
        command = ["openssl", "pkey", "-pubin", "-in", "key.pem", "-outform", "DER"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        assert done.stdout[-32:] == log.public_key_of(secret)


NOTE = log.sign(log.Checkpoint(origin="portal.example/log", size=7, root=bytes(32)), SECRET)


@pytest.mark.parametrize(
    "text",
    [
        NOTE,
        f"Хат.\n\n{NOTE}\nСоңы.\n",
        NOTE.replace("\n", "\r\n"),
        "".join(f"  {line} \n" for line in f"words\n{NOTE}words".splitlines()),
        NOTE.replace("log ", "log\n"),
        NOTE.replace("\n\n", "\n"),
        f"{NOTE}— — — —\n\n{NOTE}",
        f"{NOTE}— no signature\n",
    ],
    ids=["alone", "in a letter", "CRLF", "indented", "narrow", "without the blank line", "twice", "before a dash"],
)
def test_a_checkpoint_is_found_in_a_text_with_its_signature(text):
    assert log.find_checkpoint(text) == NOTE
    assert log.signed_by(log.find_checkpoint(text), log.public_key_of(SECRET)) is True


def test_an_unsigned_checkpoint_is_found_and_a_text_without_one_has_none():
    body = log.Checkpoint.parse(NOTE).body
    assert log.find_checkpoint(f"a\n{body}b\n") == body
    for text in ("", "a\n1\n", NOTE.replace("\n7\n", "\n\n7\n\n")):
        with pytest.raises(ValueError, match="no checkpoint"):
            log.find_checkpoint(text)


def test_all_signatures_of_a_note_are_found():
    other = log.sign(log.Checkpoint.parse(NOTE), base64.b64encode(bytes(32)).decode()).splitlines()[-1]
    assert log.find_checkpoint(f"x\n{NOTE}{other}\n\nx\n") == f"{NOTE}{other}\n"
