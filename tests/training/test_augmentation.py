"""Augmentation: what stays, what changes, and that seeds repeat it."""

import pytest
import torch

from commonspace.training import augmentation
from commonspace.training.augmentation import augment

IMAGES = torch.randint(
    0, 256, (40, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)


def test_without_other_changes_half_of_the_images_are_mirrored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SHIFT", "ZOOM", "ROTATION", "LIGHT"):
        monkeypatch.setattr(augmentation, name, 0.0)
    torch.manual_seed(0)
    found = augment(IMAGES)
    same = (found == IMAGES).all(dim=(1, 2, 3))
    mirrored = (found == IMAGES.flip(-1)).all(dim=(1, 2, 3))
    assert (same | mirrored).all()
    assert 10 < int(mirrored.sum()) < 30


def test_a_shift_moves_the_picture_by_its_share_of_the_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ZOOM", "ROTATION", "LIGHT"):
        monkeypatch.setattr(augmentation, name, 0.0)
    monkeypatch.setattr(augmentation, "SHIFT", 0.25)
    dots = torch.zeros(200, 3, 16, 16, dtype=torch.uint8)
    dots[:, :, 7:9, 7:9] = 255
    torch.manual_seed(0)
    moved = augment(dots).float().mean(dim=1)
    weight = moved.sum(dim=(1, 2))
    center = (moved.sum(dim=2) * torch.arange(16)).sum(dim=1) / weight - 7.5
    assert center.abs().max() == pytest.approx(4, abs=0.25)
    assert center.abs().mean() == pytest.approx(2, abs=0.4)


def test_white_borders_stay_white_and_values_in_range() -> None:
    padded = torch.full((30, 3, 20, 20), 255, dtype=torch.uint8)
    padded[:, :, 9:11, 9:11] = 0
    augmentation_of = augment(padded)
    assert augmentation_of.dtype == torch.uint8
    darkest = augmentation_of.float().amax(dim=1)
    assert (darkest[:, 0, 0] >= 255 * (1 - augmentation.LIGHT) - 1).all()


def test_the_seed_repeats_the_changes_for_bytes_and_floats() -> None:
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(augment(IMAGES))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    torch.manual_seed(3)
    floats = augment(IMAGES.float() / 255)
    assert floats.dtype == torch.float32
    assert (floats.clamp(0, 1) * 255 - found[0].float()).abs().max() < 1


def test_a_share_of_a_batch_is_changed_as_in_the_whole_batch() -> None:
    """Every process draws the numbers of all images, also one without an image."""
    torch.manual_seed(4)
    whole, after = augment(IMAGES), torch.rand(1)
    n = len(IMAGES)
    for start, stop in ((0, 1), (1, n), (n, n)):
        torch.manual_seed(4)
        part = augment(IMAGES[start:stop], n, start)
        assert torch.equal(torch.rand(1), after)
        difference = (part.int() - whole[start:stop].int()).abs()
        assert len(part) == stop - start
        assert not difference.numel() or int(difference.max()) <= 1  # rounding
