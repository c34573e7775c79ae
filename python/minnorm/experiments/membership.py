"""Membership inference: can the forgotten samples be told from samples never seen?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError


def membership_score(members: Any, others: Any) -> float:
    """Chance that a forgotten sample looks more like a member than one never seen.

    Parameters
    ----------
    members, others : array-like
        The model's confidence in the targets of forgotten and of held-out samples: any score that
        grows with it, such as the negative loss.

    Returns
    -------
    float
        Area under the ROC curve of the best threshold attack: 0.5 tells nothing, 1 tells all.

    Examples
    --------
    >>> from minnorm.experiments.membership import membership_score
    >>> membership_score([0.9, 0.4], [0.1, 0.4])
    0.875
    """
    a, b = np.ravel(members)[:, np.newaxis], np.ravel(others)
    if not (a.size and b.size):
        raise InputError("membership_score needs forgotten and held-out samples; got none of one.")
    return float(np.mean((a > b) + 0.5 * (a == b)))
