"""Memory of the service after many requests."""

import gc
import logging
import tracemalloc
from itertools import pairwise

from starlette.testclient import TestClient

WARM_UP, ASKED, BLOCKS = 50, 60, 4
MOST = 400
"""Bytes of a request that may stay behind: an answer of this index takes thousands."""


def test_requests_leave_no_memory_behind(client: TestClient) -> None:
    """Every query is another one, so that whatever remembers queries is seen to grow."""

    def ask(first: int, count: int) -> None:
        for number in range(first, first + count):
            found = client.post("/search", json={"text": f"a red wall {number}", "k": 5})
            assert found.status_code == 200
            if number % 4 == 0:  # what is refused may not stay, either
                assert client.post("/search", json={"words": str(number)}).status_code == 422

    held = []
    logging.disable()  # pytest keeps every record, which would be taken for a leak
    tracemalloc.start()
    try:
        ask(0, WARM_UP)
        for block in range(BLOCKS + 1):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            ask(WARM_UP + block * ASKED, ASKED)
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
    # A leak is in every block; what a cache or another thread takes once is not.
    grown = min(after - before for before, after in pairwise(held)) / ASKED
    assert grown < MOST, f"{grown:.0f} bytes of each request"
