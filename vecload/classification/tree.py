"""The tree of hierarchical softmax, which fastText does not store: it is built from the counts of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_LARGE: Final = 10**15  # count of nodes that are not made yet, as in fastText


def label_tree(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the left and the right child of each node, -1 for leaves: int32, shape (2 * labels - 1,).

    Leaves have the numbers of their labels, and the root is the last node.

    Parameters
    ----------
    counts
        Frequency of each label, largest first, int64, shape (labels,).

    Notes
    -----
    This is ``HierarchicalSoftmaxLoss::buildTree`` in fastText's loss.cc, a Huffman tree.

    Examples
    --------
    >>> [child.tolist() for child in label_tree(np.array([5, 2, 1]))]
    [[-1, -1, -1, 2, 3], [-1, -1, -1, 1, 0]]
    """
    leaves = len(counts)
    size = max(2 * leaves - 1, 0)
    weights = [*counts.tolist(), *[_LARGE] * (size - leaves)]
    children = np.full((2, size), -1, dtype=np.int32)
    leaf, node = leaves - 1, leaves
    for made in range(leaves, size):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        children[:, made] = pair
        weights[made] = weights[pair[0]] + weights[pair[1]]
    return children[0], children[1]
