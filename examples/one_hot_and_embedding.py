"""Show with three words that an embedding is a matrix, and that a lookup is a product with a one-hot row.

python examples/one_hot_and_embedding.py
"""

from __future__ import annotations

import numpy as np
import torch

import vecload


def main() -> None:
    """Print the matrices, and the gradient with and without a padding row."""
    words = vecload.Words.from_strings(["cat", "dog", "fish"])
    vectors = vecload.Vectors(words, np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype="float32"))
    vocab = vecload.Vocab.from_words(["cat", "dog", "fish"], pad_token="<pad>")
    layer = vecload.align(vectors, vocab).embedding()

    ids = torch.from_numpy(vocab.encode(["dog", "cat", "<pad>"]))
    one_hot = torch.nn.functional.one_hot(ids, len(vocab)).float()
    print(f"ids      {tuple(ids.shape)}    {ids.tolist()}")
    print(f"one-hot  {tuple(one_hot.shape)}  {one_hot.int().tolist()}")
    print(f"weight   {tuple(layer.weight.shape)}  {layer.weight.int().tolist()}")
    product, looked_up = one_hot @ layer.weight, layer(ids)
    print(f"one-hot @ weight = layer(ids)  {tuple(looked_up.shape)}  {looked_up.int().tolist()}")
    assert torch.equal(product, looked_up)

    # The gradient of a lookup uses the transpose: each row sums the gradients of the positions that used it.
    product.sum().backward()
    assert layer.weight.grad is not None
    print(f"\ngradient through one-hot @ weight:   {layer.weight.grad.int().tolist()}")
    # The layer skips its padding row, so the row that fills up short texts stays zero.
    layer.zero_grad()
    looked_up.sum().backward()
    print(f"gradient through layer, padding 0:   {layer.weight.grad.int().tolist()}")
    frozen = vecload.align(vectors, vocab).embedding(rows=np.array([False, True, False, False]))
    frozen(ids).sum().backward()
    print(f"gradient when only cat is trained:   {[rows.grad.int().tolist() for rows in frozen.trained]}")


if __name__ == "__main__":
    main()
