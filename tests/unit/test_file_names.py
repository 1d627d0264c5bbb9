"""Names of files: what is kept of them, and how they are told in a header."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ld_server.domain import file_names


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/..", "\u202e", "\x00", " . ", "x" * 256])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="fileName"):
        file_names.kept(name)


@given(st.text(min_size=1, max_size=300))
def test_whatever_is_kept_has_no_path_and_tells_itself_in_a_safe_header(name: str) -> None:
    try:
        kept = file_names.kept(name)
    except ValueError:
        return
    assert "/" not in kept and "\\" not in kept and kept not in (".", "..") and kept.isprintable()
    assert file_names.kept(kept) == kept
    told = file_names.disposition(kept)
    assert told.isascii() and told.isprintable() and told.count('"') == 2
    assert unquote(told.partition("filename*=UTF-8''")[2]) == kept
