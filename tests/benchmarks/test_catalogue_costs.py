"""Costs of a catalogue, compared with sums by hand."""

import pytest

from benchmarks.catalogue_costs import Rates, extraction, main, table


def test_hours_and_bytes_are_products_of_the_rates() -> None:
    rates = Rates(epoch=100, epochs=10, samples=2e6, index=36, query=0.036, queries=1000)
    hours = rates.core_hours(1e6)
    assert hours["search structure"] == pytest.approx(0.01)
    assert hours["evaluation, 1,000 queries"] == pytest.approx(0.01)
    assert hours["training, 10 epochs"] == pytest.approx(1040 / 3600)
    many = rates.core_hours(1e9)
    assert many["search structure"] == pytest.approx(10)
    assert many["training, 10 epochs"] == pytest.approx(2 * 1040 / 3600)  # on a sample
    assert Rates(memory_bytes=2**10).gib(2**20)["vectors in memory"] == 1


def test_rows_state_hours_and_euros() -> None:
    assert extraction(100 / 3.6, 0.05, "core")[1:] == [
        "10 h, 0.5 €",
        "1,000 h, 50 €",
        "10,000 h, 500 €",
    ]
    rows = {row[0]: row[1:] for row in table(Rates(index=36), 10.0)}
    assert rows["search structure"] == ["0.01 h, 0.1 €", "1 h, 10 €", "10 h, 100 €"]


def test_a_gpu_is_listed_only_with_a_measured_rate(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "GPU" not in capsys.readouterr().out
    main(["--gpu-photos", "1000", "--gpu-price", "3.6"])
    assert "1000 photos a second and GPU | 0.28 h, 1 €" in capsys.readouterr().out
