"""Links to attachments on a disk that nodes share: what one node signs is good at each that has the same secret key, and at no other."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from falcon import testing

from ld_server.bootstrap import build
from ld_server.http.app import create_app
from ld_server.settings import Settings
from tests.http.conftest import Site, open_site, problem, with_known_shapes
from tests.http.test_attachments import Desk, desk_over
from tests.pictures import PDF

OURS, OTHERS = "the secret of this deployment alone", "what somebody else has chosen for theirs"
MANUAL = {"fileName": "manual.pdf", "contentType": "application/pdf"}
Node = Callable[[str, str], Desk]


@pytest.fixture
def node(sqlite_url: str, tmp_path: Path) -> Iterator[Node]:
    """Makes nodes by name and secret key, each with a data directory of its own, over one ledger and one directory of files."""
    sites: list[Site] = []
    with ExitStack() as open_parts:

        def make(name: str, secret: str) -> Desk:
            told = {"database_url": sqlite_url, "sparql_url": "memory:", "blob_url": f"file://{tmp_path}/shared", "secret_key": secret}
            parts = with_known_shapes(open_parts.enter_context(closing(build(Settings(data_dir=tmp_path / name, **told)))))
            sites.append(Site(parts, testing.TestClient(create_app(parts)), sites[0].keys) if sites else open_site(parts))
            return Desk(sites[-1], desks[0].asset) if desks else desk_over(sites[-1])

        desks: list[Desk] = []
        yield lambda name, secret: desks.append(make(name, secret)) or desks[-1]


def test_a_link_of_one_node_is_good_at_another_with_the_same_secret(node: Node) -> None:
    first, second = node("a", OURS), node("b", OURS)
    draft = first.initiated(PDF, **MANUAL)
    assert second.uploaded(draft, PDF).status_code == 204
    assert first.completed(draft).status_code == 200
    link = second.site.get(f"/v1/attachments/{draft['identifier']}").json["downloadUrl"]
    assert (first.followed(link).content, second.followed(link).content) == (PDF, PDF)


def test_a_link_of_a_node_with_another_secret_is_refused(node: Node) -> None:
    ours, other = node("a", OURS), node("c", OTHERS)
    found = ours.attached(PDF, **MANUAL)
    for maker, reader in ((ours, other), (other, ours)):
        link = maker.site.get(f"/v1/attachments/{found['identifier']}").json["downloadUrl"]
        assert maker.followed(link).content == PDF
        assert problem(reader.followed(link), "link-refused", 403)["reason"] == "tampered"
        assert problem(reader.uploaded(maker.initiated()), "link-refused", 403)["reason"] == "tampered"
