"""Sparse weights of a vector over the rows of a matrix: sparsemax of cosines, and orthogonal matching pursuit.

Callers find candidates with float32 matrix products, which are fast, and the kernels compute the result from these in
double precision. So the result does not depend on the order of additions within a matrix product.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel

# Float32 products of unit vectors differ from the exact ones by less.
_ROUNDING = 1e-5


@inline
def _dot(left, right):  # type: ignore[no-untyped-def]
    """Return the dot product of two vectors in double precision.

    A single sum would wait for each addition, so eight sums are computed side by side. The order is fixed.
    """
    size = len(left)
    a = b = c = d = e = f = g = h = 0.0
    whole = size - size % 8
    for j in range(0, whole, 8):
        a += np.float64(left[j]) * np.float64(right[j])
        b += np.float64(left[j + 1]) * np.float64(right[j + 1])
        c += np.float64(left[j + 2]) * np.float64(right[j + 2])
        d += np.float64(left[j + 3]) * np.float64(right[j + 3])
        e += np.float64(left[j + 4]) * np.float64(right[j + 4])
        f += np.float64(left[j + 5]) * np.float64(right[j + 5])
        g += np.float64(left[j + 6]) * np.float64(right[j + 6])
        h += np.float64(left[j + 7]) * np.float64(right[j + 7])
    for j in range(whole, size):
        a += np.float64(left[j]) * np.float64(right[j])
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def sparsemax(queries, matrix, rows, rough, complete, weights, counts):  # type: ignore[no-untyped-def]
    """Compute sparsemax of the products of each query with all rows, from its best candidates.

    Sparsemax is the Euclidean projection onto the simplex: ``max(z - tau, 0)``, where `tau` makes the sum 1 (Martins
    and Astudillo, "From softmax to sparsemax", ICML 2016, algorithm 1). Only scores above `tau` matter, so candidates
    suffice if no other score can be above it.

    Parameters
    ----------
    queries, matrix : float32 (q, dim), (n, dim), read-only
        Unit vectors.
    rows : int64 (q, k)
        Candidates of each query: the rows with the largest float32 products. Replaced by the rows of the support in
        ascending order, followed by others.
    rough : float32 (q, k)
        Their float32 products.
    complete : bool
        Whether the candidates are all rows.
    weights : float64 (q, k)
        Receives the weights of the support.
    counts : int64 (q,)
        Receives the size of the support; -1 if the candidates do not suffice.
    """
    k = rows.shape[1]
    scores = np.empty(k, dtype=np.float64)
    for q in range(len(queries)):
        worst = np.float64(rough[q].min())
        for j in range(k):
            scores[j] = _dot(queries[q], matrix[rows[q, j]])
        order = np.argsort(-scores)
        # The support is the longest prefix of the sorted scores with 1 + j * z_j > z_1 + ... + z_j.
        total, size, tau = 0.0, 0, 0.0
        for j in range(k):
            score = scores[order[j]]
            total += score
            if 1 + (j + 1) * score > total:
                size = j + 1
                tau = (total - 1) / size
            else:
                break
        if not complete and (size == k or tau <= worst + _ROUNDING):
            counts[q] = -1
            continue
        chosen = rows[q][order[:size]]
        ascending = np.argsort(chosen)
        for j in range(size):
            weights[q, j] = scores[order[ascending[j]]] - tau
        rows[q, :size] = chosen[ascending]
        counts[q] = size


@kernel
def add_atoms(products, atoms, tolerance, residuals, basis, triangle, inner, support, sizes, active):  # type: ignore[no-untyped-def]
    """Add the best atom to the support of each vector: one step of orthogonal matching pursuit.

    The least squares solution of the support is kept as a QR decomposition, which Gram-Schmidt extends by one column;
    orthogonalizing twice makes it accurate (Giraud, Langou and Rozložník, "The loss of orthogonality in the
    Gram-Schmidt orthogonalization process", 2005). A vector becomes inactive when no atom can reduce its residual.

    Parameters
    ----------
    products : float32 (b, n)
        Products of residuals and atoms.
    atoms : float32 (n, dim), read-only
        Rows, not normalized.
    tolerance : float64 (b,)
        Norm of the residual at which a vector is done.
    residuals : float64 (b, dim)
        Residuals, updated in place.
    basis : float64 (b, k, dim)
        Orthonormal columns Q of each vector.
    triangle : float64 (b, k, k)
        R of each vector: column j holds the coefficients of atom j in the basis.
    inner : float64 (b, k)
        Products of the basis with each vector.
    support : int64 (b, k)
        Chosen atoms.
    sizes : int64 (b,)
        Number of them, at most k.
    active : bool (b,)
        Vectors that are not done.
    """
    k = support.shape[1]
    for i in range(len(active)):
        if not active[i]:
            continue
        at, size = sizes[i], len(atoms)
        largest = np.float32(0)
        for j in range(size):
            largest = max(largest, abs(products[i, j]))
        # Float32 products that are nearly equal are compared exactly; the first of equal ones wins.
        bound = largest * np.float32(1 - _ROUNDING)
        best, atom = 0.0, -1
        for j in range(size):
            if abs(products[i, j]) >= bound:
                score = abs(_dot(residuals[i], atoms[j]))
                if score > best:
                    best, atom = score, j
        active[i] = False
        if atom < 0 or (support[i, :at] == atom).any():
            continue
        column = atoms[atom].astype(np.float64)
        length = np.sqrt(_dot(column, column))
        for _ in range(2):
            for j in range(at):
                factor = _dot(basis[i, j], column)
                triangle[i, j, at] += factor
                column -= factor * basis[i, j]
        norm = np.sqrt(_dot(column, column))
        if norm <= _ROUNDING * length:
            # The atom is a combination of those that were chosen before.
            triangle[i, :at, at] = 0
            continue
        column /= norm
        triangle[i, at, at] = norm
        basis[i, at] = column
        inner[i, at] = _dot(column, residuals[i])
        residuals[i] -= inner[i, at] * column
        support[i, at] = atom
        sizes[i] = at + 1
        active[i] = at + 1 < k and np.sqrt(_dot(residuals[i], residuals[i])) > tolerance[i]


@kernel
def solve_triangles(triangle, inner, sizes, coefficients):  # type: ignore[no-untyped-def]
    """Solve R c = Qᵀd for each vector by back substitution.

    Parameters
    ----------
    triangle : float64 (b, k, k)
    inner : float64 (b, k)
    sizes : int64 (b,)
        As for `add_atoms`.
    coefficients : float64 (b, k)
        Receives the coefficients.
    """
    for i in range(len(sizes)):
        for j in range(sizes[i] - 1, -1, -1):
            value = inner[i, j]
            for other in range(j + 1, sizes[i]):
                value -= triangle[i, j, other] * coefficients[i, other]
            coefficients[i, j] = value / triangle[i, j, j]
