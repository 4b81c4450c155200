"""Halves of an AA'XX' or AA'BB' system, which have equal numbers of hydrogens whatever their integrals say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mmspec_ds.readers.picking.curve import Lines
from mmspec_ds.readers.picking.first_order import MULTIPLET, explain
from mmspec_ds.readers.picking.pick_settings import MultipletSettings

_APART_HZ, _FARTHEST_HZ = 12.0, 150.0
_LEAST_LINES = 4
_STRONG = 0.12  # of the highest line of a half; weaker ones need no mirror image
_TOLERANCE_HZ = 0.7
_MOST_RATIO = 2.0


def even_out_mirrored(lines: Lines, settings: MultipletSettings) -> tuple[Lines, list[tuple[float, float]]]:
    """The lines with the areas of mirror images made equal, and their middles (higher first) in Hz.

    The halves of a symmetric system of two kinds of hydrogens mirror each other line by line. Where relaxation
    spoils their integrals, the mean is nearer to the truth. Multiplets of first order are their own mirror
    images, and say nothing of each other.
    """
    area, evened = lines.area.copy(), []
    for low, high in pairwise(lines.islands(_APART_HZ)):
        left, right = lines.take(slice(*low)), lines.take(slice(*high))
        if right.hz[0] - left.hz[-1] > _FARTHEST_HZ or not _mirrored(left, right):
            continue
        if any(_of_first_order(half, settings) for half in (left, right)):
            continue
        sums = float(left.area.sum()), float(right.area.sum())
        if max(sums) < _MOST_RATIO * min(sums):
            for span, total in zip((low, high), sums):
                area[slice(*span)] *= sum(sums) / 2 / total
            evened.append((float(right.hz.mean()), float(left.hz.mean())))
    return replace(lines, area=area), evened


def _of_first_order(half: Lines, settings: MultipletSettings) -> bool:
    strong = half.take(half.height > _STRONG * half.height.max())
    width = float(np.median(strong.width_hz))
    few = len(strong) <= settings.most_fitted_lines
    return few and explain(strong.hz, strong.area, width, settings) is not MULTIPLET


def _mirrored(left: Lines, right: Lines) -> bool:
    """Whether the strong lines of one are those of the other, mirrored, at any distance."""
    first = left.hz[left.height > _STRONG * left.height.max()]
    second = -right.hz[right.height > _STRONG * right.height.max()][::-1]
    if len(first) < _LEAST_LINES or len(first) != len(second):
        return False
    apart = first - second
    return bool(np.ptp(apart) < 2 * _TOLERANCE_HZ and np.abs(apart - apart.mean()).max() < _TOLERANCE_HZ)
