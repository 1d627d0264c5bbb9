"""Challenges of HTTP Digest are answered as RFC 7616 says; tests/virtuoso has a server that asks for it."""

import hashlib
import re

import pytest

from ld_server.sparql.digest import Account

CHALLENGE = 'Digest realm="SPARQL", domain="/sparql-auth", nonce="7ypf/xlj9XXw", opaque="5ebe2294", stale="false", qop="auth", algorithm={}'
PATH = "/sparql-auth?graph=urn%3Aa"


def members(header: str) -> dict[str, str]:
    return {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}


@pytest.mark.parametrize(("algorithm", "name"), [('"MD5"', "md5"), ("SHA-256", "sha256")])
def test_each_request_is_answered_under_a_number_of_its_own(algorithm: str, name: str) -> None:
    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    account = Account("Mufasa", "Circle of Life")
    assert account.answer("POST", PATH) == {}
    assert account.take(CHALLENGE.format(algorithm))
    for number in ("00000001", "00000002"):
        told = members(account.answer("POST", PATH)["Authorization"])
        assert (told["username"], told["uri"], told["nc"], told["opaque"], told["qop"]) == ("Mufasa", PATH, number, "5ebe2294", "auth")
        secret, action = digest("Mufasa:SPARQL:Circle of Life"), digest(f"POST:{PATH}")
        assert told["response"] == digest(f"{secret}:7ypf/xlj9XXw:{number}:{told['cnonce']}:auth:{action}")


@pytest.mark.parametrize("challenge", ['Basic realm="x"', "", CHALLENGE.format("MD4"), 'Digest realm="x", nonce="y", qop="auth-int"'])
def test_what_cannot_be_answered_is_left_alone(challenge: str) -> None:
    account = Account("Mufasa", "Circle of Life")
    assert not account.take(challenge)
    assert account.answer("GET", PATH) == {}
