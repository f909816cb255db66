"""Labels of lines by supervised fastText models, from their hidden vectors, exactly as in fastText's ``loss.cc``.

Sums are in float32 in fastText's order. The largest k are found with the heap of the C++ library (libstdc++'s
``stl_heap.h``), because the order of equal probabilities depends on it.
"""

from __future__ import annotations

import math

import numpy as np

from vecload.kernels import inline, kernel

_SMALLEST = 1e-5  # fastText adds it to a probability before it takes the logarithm


@inline
def _log(value):  # type: ignore[no-untyped-def]
    """Return fastText's logarithm, which is finite at 0 (``std_log``)."""
    return np.float32(math.log(np.float64(value) + _SMALLEST))


@inline
def _sift_up(scores, labels, hole, score, label):  # type: ignore[no-untyped-def]
    """Move a hole of the heap up until its parent is not above `score`, and put the entry there (``__push_heap``)."""
    while hole > 0 and scores[(hole - 1) // 2] > score:
        parent = (hole - 1) // 2
        scores[hole], labels[hole] = scores[parent], labels[parent]
        hole = parent
    scores[hole], labels[hole] = score, label


@inline
def _pop(scores, labels, size):  # type: ignore[no-untyped-def]
    """Move the smallest entry of a heap to its end (``pop_heap``)."""
    score, label = scores[size - 1], labels[size - 1]
    scores[size - 1], labels[size - 1] = scores[0], labels[0]
    size -= 1
    hole = child = 0
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if scores[child] > scores[child - 1]:
            child -= 1
        scores[hole], labels[hole] = scores[child], labels[child]
        hole = child
    if size % 2 == 0 and size > 0 and child == (size - 2) // 2:
        child = 2 * (child + 1)
        scores[hole], labels[hole] = scores[child - 1], labels[child - 1]
        hole = child - 1
    _sift_up(scores, labels, hole, score, label)


@inline
def _push(scores, labels, size, k, score, label):  # type: ignore[no-untyped-def]
    """Add an entry to a heap of at most k, and return its new size."""
    _sift_up(scores, labels, size, score, label)
    size += 1
    if size > k:
        _pop(scores, labels, size)
        size -= 1
    return size


@inline
def _fill(hidden, weights, scales, sigmoid, softmax, output):  # type: ignore[no-untyped-def]
    """Compute the probability of every label of one line; `output` contains zeros before."""
    size = len(output)
    for column in range(len(hidden)):
        value, row = hidden[column], weights[column]
        for label in range(size):
            output[label] += value * row[label]
    for label in range(size):
        output[label] *= scales[label]
    if softmax:
        largest = output[0]
        for label in range(size):
            largest = max(largest, output[label])
        total = np.float32(0)
        for label in range(size):
            output[label] = np.float32(math.exp(np.float64(output[label] - largest)))
            total += output[label]
        for label in range(size):
            output[label] /= total
    else:
        for label in range(size):
            value = output[label]
            if value < -8:
                output[label] = 0
            elif value > 8:
                output[label] = 1
            else:
                # The sum is an index of the table if the value is a number; NaN is not comparable.
                index = np.int64((value + np.float32(8)) * np.float32(512) / np.float32(8) / np.float32(2))
                output[label] = sigmoid[min(max(index, 0), 511)] if value == value else value


@inline
def _finish(scores, labels, size):  # type: ignore[no-untyped-def]
    """Sort a heap, best first, and make probabilities of its logarithms."""
    for last in range(size, 1, -1):
        _pop(scores, labels, last)
    for at in range(size):
        scores[at] = np.float32(math.exp(np.float64(scores[at])))


@kernel
def outputs(hidden, counts, weights, scales, sigmoid, softmax, probabilities):  # type: ignore[no-untyped-def]
    """Compute the probability of every label.

    Parameters
    ----------
    hidden : float32 (n, dim)
    counts : int64 (n,)
        Number of rows in each mean; a line without any has probabilities of 0.
    weights : float32 (dim, labels), read-only
        Output matrix, transposed: the innermost loop is over labels, so that each sum is in fastText's order and the
        compiler can still vectorize it.
    scales : float32 (labels,), read-only
        Factor of each sum: norms of the rows of a quantized matrix, otherwise 1.
    sigmoid : float32 (512,), read-only
        Values of the logistic function from -8 to 8.
    softmax : bool
        Whether the loss is softmax; otherwise, each label has a probability of its own.
    probabilities : float32 (n, labels)
        Receives the probabilities; zeros before.
    """
    for line in range(len(hidden)):
        if counts[line] > 0:
            _fill(hidden[line], weights, scales, sigmoid, softmax, probabilities[line])


@kernel
def best_labels(hidden, counts, weights, scales, sigmoid, softmax, k, threshold, labels, scores, found):  # type: ignore[no-untyped-def]
    """Find the k most probable labels of each line.

    The first parameters are those of `outputs`.

    Parameters
    ----------
    k : int
    threshold : float32
        Smallest probability.
    labels : int64 (n, k + 1)
    scores : float32 (n, k + 1)
        Receive the labels and their probabilities, best first; the last column is used here only.
    found : int64 (n,)
        Receives the number of labels.
    """
    output = np.empty(weights.shape[1], dtype=np.float32)
    for line in range(len(hidden)):
        size = 0
        if counts[line] > 0:
            output[:] = np.float32(0)
            _fill(hidden[line], weights, scales, sigmoid, softmax, output)
            for label in range(len(output)):
                value = output[label]
                if value < threshold:
                    continue
                score = _log(value)
                if size == k and score < scores[line, 0]:
                    continue
                size = _push(scores[line], labels[line], size, k, score, label)
        found[line] = size
        _finish(scores[line], labels[line], size)


@kernel
def best_leaves(hidden, counts, weights, scales, left, right, k, threshold, labels, scores, found):  # type: ignore[no-untyped-def]
    """Find the k most probable labels of each line in the tree of hierarchical softmax.

    The parameters are those of `best_labels`, and: `weights` float32 (labels, dim), of which each inner node has a row,
    and the children of each node, `left` and `right` int32 (2 * labels - 1,), -1 for leaves. Nodes are visited in the
    order of fastText's depth-first search, which skips those that cannot be among the best.
    """
    leaves = (len(left) + 1) // 2
    nodes = np.empty(len(left) + 1, dtype=np.int64)
    path = np.empty(len(left) + 1, dtype=np.float32)
    least = _log(threshold)
    for line in range(len(hidden)):
        size, waiting = 0, 0
        if counts[line] > 0:
            nodes[0], path[0] = len(left) - 1, np.float32(0)
            waiting = 1
        while waiting > 0:
            waiting -= 1
            node, score = nodes[waiting], path[waiting]
            if score < least or (size == k and score < scores[line, 0]):
                continue
            if left[node] < 0:
                size = _push(scores[line], labels[line], size, k, score, node)
                continue
            value = np.float32(0)
            for column in range(hidden.shape[1]):
                value += weights[node - leaves, column] * hidden[line, column]
            value *= scales[node - leaves]
            value = np.float32(1.0 / (1 + np.float64(np.float32(math.exp(np.float64(-value))))))
            # The left child is visited first, so it is put on the stack last.
            nodes[waiting], path[waiting] = right[node], score + _log(value)
            nodes[waiting + 1], path[waiting + 1] = left[node], score + _log(np.float32(1.0 - np.float64(value)))
            waiting += 2
        found[line] = size
        _finish(scores[line], labels[line], size)


@kernel
def leaf_probabilities(hidden, counts, weights, scales, left, right, probabilities):  # type: ignore[no-untyped-def]
    """Compute the probability of every label in the tree of hierarchical softmax.

    The parameters are those of `best_leaves`, and `probabilities` float32 (n, labels), zeros before, which receives the
    products along the paths.
    """
    leaves = (len(left) + 1) // 2
    shares = np.zeros(len(left), dtype=np.float64)
    for line in range(len(hidden)):
        if counts[line] == 0:
            continue
        shares[len(left) - 1] = 1
        # Children have smaller numbers than their parents.
        for node in range(len(left) - 1, leaves - 1, -1):
            value = np.float32(0)
            for column in range(hidden.shape[1]):
                value += weights[node - leaves, column] * hidden[line, column]
            value *= scales[node - leaves]
            right_share = 1 / (1 + math.exp(-np.float64(value)))
            shares[right[node]] = shares[node] * right_share
            shares[left[node]] = shares[node] * (1 - right_share)
        for leaf in range(leaves):
            probabilities[line, leaf] = shares[leaf]
