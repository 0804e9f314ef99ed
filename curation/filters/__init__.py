"""Filters of candidates that act before anything is downloaded: Arrow in, the counted reason of each row out.

The order is fixed, so that counts are reproducible: refusal lists, consent (directives, robots.txt, ai.txt), licence,
domain; and for texts the classifiers in the recipe's order.
"""

from curation.filters.candidates import CandidateFilters, hosts

__all__ = ["CandidateFilters", "hosts"]
