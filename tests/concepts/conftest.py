"""Compiled vocabularies of the tests go to a folder of their own."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def vocabulary_cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATION_CACHE", str(tmp_path_factory.mktemp("vocabularies")))
        yield
