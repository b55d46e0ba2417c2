"""Pairs with pictures at the command line: which columns hold them, and bad ones left out where wished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairspace.data import Pairs
    from pairspace.space import Space

__all__ = ["what_sides_hold", "with_pictures"]


def what_sides_hold(sides: Sequence[str], sets: Sequence[Pairs]) -> Sequence[str] | dict[str, str]:
    """Sides with "image" or "text", as the first item of each says: bytes, or a name that ends as pictures' do.

    Args:
        sides: their names.
        sets: data sets that have them.

    Returns:
        The names alone where no side holds pictures.
    """
    from pairspace.data.pictures import PICTURE_SUFFIXES

    found = {}
    for side in sides:
        first = next(pairs.items(side)[0].as_py() for pairs in sets if side in pairs.sides)
        shown = isinstance(first, bytes) or Path(str(first)[-512:]).suffix.lower() in PICTURE_SUFFIXES
        found[side] = "image" if shown else "text"
    return found if "image" in found.values() else sides


def with_pictures(space: Space, sets: Sequence[Pairs], *, skip_bad: bool) -> list[Pairs]:
    """The data sets with whole paths; with `skip_bad` every picture is decoded, and rows of bad ones are left out.

    Raises:
        DataError: a picture's file is missing, or with `skip_bad` none can be used.
    """
    from pairspace.data.picture_paths import check_pictures
    from pairspace.space.pictures import located, picture_sides

    done = []
    for pairs in sets:
        sides = [side for side in picture_sides(space) if side in pairs.sides]
        checked = check_pictures(pairs, sides, skip_bad=True) if sides and skip_bad else located(space, pairs)
        done.append(checked)
    return done
