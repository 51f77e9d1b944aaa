"""Results in the order of a field: the best results, sorted."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from commonspace.retrieval.items import Query, SearchResult, SearchResults

__all__ = ["SORTED", "sort_results", "to_be_sorted"]

SORTED = 200
"""Best results that are sorted by a field."""

LEAST_RELEVANCE = 0.5
"""Relevance from which a result takes part, where the space is calibrated."""

LEAST_SHARE = 0.75
"""Share of the best relevance from which a result takes part: else a cheap shirt of relevance 0.5
would come before shoes of 0.9."""


def to_be_sorted(query: Query, calibrated: bool) -> Query:
    """Return the query for the results that are then sorted; the query itself without ``sort``."""
    if query.sort is None:
        return query
    lowest = query.min_relevance
    if lowest is None and calibrated:
        lowest = LEAST_RELEVANCE
    return replace(query, k=SORTED, offset=0, min_relevance=lowest)


def sort_results(results: SearchResults, query: Query) -> SearchResults:
    """Return the page of a query with ``sort``; ``total`` is the number of sorted results.

    Results without a value come last, in the order of their scores.

    Args:
        results: of ``to_be_sorted(query, ...)``.
        query: the query.
    """
    if query.sort is None:
        return results
    best = max((one.relevance or 0 for one in results), default=0)
    least = LEAST_SHARE * best if query.min_relevance is None else 0
    kept = [
        one
        for one in results
        if one.relevance is None or one.has_keywords or one.relevance >= least
    ]
    ordered = _order(kept, query.sort)
    return SearchResults(
        ordered[query.offset : query.offset + query.k],
        len(ordered),
        nothing_matches=results.nothing_matches,
    )


def _order(results: Iterable[SearchResult], order: str) -> list[SearchResult]:
    name, descending = order.removeprefix("-"), order.startswith("-")

    def key(result: SearchResult) -> tuple[bool, Any]:
        value = result.fields.get(name)
        is_number = isinstance(value, int | float)
        return is_number, value if is_number else str(value)

    listed = list(results)
    present = [result for result in listed if name in result.fields]
    absent = [result for result in listed if name not in result.fields]
    return sorted(present, key=key, reverse=descending) + absent
