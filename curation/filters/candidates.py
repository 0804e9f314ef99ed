"""All filters of a recipe together: what they say of each candidate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl import licences
from curation.filters.classifiers import TextClassifier
from curation.filters.consent import DirectiveFilter, site_verdicts
from curation.filters.domains import DomainFilter
from curation.filters.files import new_digest
from curation.filters.refusals import Refusals
from curation.filters.urls import Urls, url_hosts
from curation.recipe.filters import Filters
from curation.text.arrays import as_strings


class CandidateFilters:
    """The filters of one recipe with their lists and models; one object serves one thread."""

    def __init__(self, settings: Filters) -> None:
        """Reads all lists and models. Raises InputError, one line, for what cannot be used."""
        digest = new_digest()
        self._consent = settings.consent
        self._licences = settings.licences
        self._directives = DirectiveFilter(settings.consent)
        self._refusals = Refusals(settings.refusals, digest)
        self._domains = DomainFilter(settings.domains, digest)
        self._classifiers = [TextClassifier(classifier, digest) for classifier in settings.classifiers]
        self.fingerprint: str = digest.hexdigest()[:32]
        """Changes when the content of a list or model does."""

    def page_verdicts(self, batch: pa.RecordBatch, rules: pa.Table | None = None) -> pa.StringArray:
        """For each row of CANDIDATES the name of the first filter that refuses it, null where none does.

        In this order: refused:LIST, consent:DIRECTIVE, consent:robots.txt, consent:ai.txt, licence, domain. A row
        without page_url is judged by its media alone. rules: SITE_RULES of the batch's `hosts` (or more).
        """
        media, pages = Urls(batch.column("media_url")), Urls(batch.column("page_url"))
        verdicts = [
            self._refusals.verdicts(batch.column("media_id"), media, pages),
            self._directives.verdicts(batch.column("robots"), batch.column("modality")),
        ]
        if rules is not None and rules.num_rows and self._consent.site_rules:
            verdicts.append(site_verdicts(media, pages, rules, self._consent.agents))
        if self._licences is not None:
            verdicts.append(_named("licence", ~self._licensed(batch.column("licence"))))
        verdicts.append(_named("domain", self._domains.refused(media, pages)))
        return pc.coalesce(*verdicts)

    def text_verdicts(self, texts: pa.Array) -> pa.StringArray:
        """classifier:NAME of the first classifier that refuses each text, null where none does; nulls stay null.

        Equal texts are asked once, and a classifier only of what those before it keep.
        """
        encoded = as_strings(texts).dictionary_encode()
        distinct = encoded.dictionary
        verdicts = np.full(len(distinct), len(self._classifiers))
        for number, classifier in enumerate(self._classifiers):
            left = np.flatnonzero(verdicts == len(self._classifiers))
            verdicts[left[classifier.refused(distinct.take(pa.array(left)))]] = number
        names = pa.array([*(classifier.verdict for classifier in self._classifiers), None], pa.string())
        return names.take(pa.array(verdicts)).take(encoded.indices)

    def _licensed(self, column: pa.Array) -> npt.NDArray[np.bool_]:
        encoded = as_strings(column).dictionary_encode()
        allow = self._licences or []
        taken = [licences.allowed(licence, allow) for licence in encoded.dictionary.to_pylist()]
        of_rows: npt.NDArray[np.bool_] = np.array([*taken, False])[np.asarray(pc.fill_null(encoded.indices, -1))]
        return of_rows


def hosts(batch: pa.RecordBatch) -> pa.StringArray:
    """The distinct hosts of the media and pages of some CANDIDATES, written as SITE_RULES.host is."""
    found = [url_hosts(pc.unique(as_strings(batch.column(name)))) for name in ("media_url", "page_url")]
    return pc.drop_null(pc.unique(pa.concat_arrays(found)))


def _named(name: str, refused: npt.NDArray[np.bool_]) -> pa.StringArray:
    return pa.array([name, None], pa.string()).take(pa.array(np.where(refused, 0, 1)))
