"""A service holds no more after many requests than before."""

import gc
import tracemalloc

from starlette.testclient import TestClient

WARM_UP, ASKED = 50, 120
MOST = 400
"""Bytes of a request that may stay behind: an answer of this index takes thousands."""


def test_nothing_of_a_request_stays_behind(client: TestClient) -> None:
    """Every query is another one, so that whatever remembers queries is seen to grow."""

    def ask(first: int, count: int) -> None:
        for number in range(first, first + count):
            found = client.post("/search", json={"text": f"a red wall {number}", "k": 5})
            assert found.status_code == 200
            if number % 4 == 0:  # what is refused may not stay, either
                assert client.post("/search", json={"words": str(number)}).status_code == 422

    tracemalloc.start()
    try:
        ask(0, WARM_UP)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        ask(WARM_UP, ASKED)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MOST * ASKED, f"{(after - before) / ASKED:.0f} bytes of each request"
