import sys

import pytest

from zoo.errors import MissingLibraryError
from zoo.libraries import optional


def test_what_is_there_is_imported():
    assert optional("json.decoder", extra="x", purpose="y") is sys.modules["json.decoder"]


def test_what_is_missing_is_named_with_its_extra():
    with pytest.raises(
        MissingLibraryError, match=r"no_such_thing is not installed; it is needed to dance: pip install"
    ):
        optional("no_such_thing.inner", extra="dancing", purpose="dance")


def test_what_is_broken_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_thing.py").write_text("import no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingLibraryError, match=r"broken_thing does not import \(No module named 'no_such_thing'\)"):
        optional("broken_thing", extra="dancing", purpose="dance")
