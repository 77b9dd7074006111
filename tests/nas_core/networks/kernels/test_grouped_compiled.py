"""A compiled form of the grouped convolutions cannot ask whether maps are finite, and need not."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_core.networks.kernels.grouped import grouped_norm


def test_a_graph_keeps_what_is_not_finite_with_its_model() -> None:
    source = torch.Generator().manual_seed(0)
    d, weight, scale, offset = (
        torch.randn(shape, generator=source, dtype=torch.float64)
        for shape in ((2, 3, 3, 4, 4), (1, 4, 4, 4), (1, 4, 4), (1, 4, 4))
    )
    d[0, 1, 2, 1, 3] = torch.inf
    inputs = [d, weight, scale, offset]

    def outputs(norm: object) -> list[Tensor]:
        leaves = [each.clone().requires_grad_() for each in inputs]
        y, *_ = norm(*leaves, relu=False, keep=None)  # type: ignore[operator]
        y[..., [0, 2, 3], :].square().sum().backward()
        gradients = [each.grad for each in leaves if each.grad is not None]
        assert len(gradients) == 4
        others = torch.tensor([0, 2, 3])
        of_others = [
            each.index_select(3 if each is gradients[0] else 1, others) for each in gradients
        ]
        return [y[..., others, :], *of_others]

    torch.compiler.reset()
    graph = torch.compile(grouped_norm, backend="aot_eager", fullgraph=True, dynamic=False)
    ours = outputs(graph)

    assert all(each.isfinite().all() for each in ours)
    for mine, written in zip(ours, outputs(grouped_norm), strict=True):
        torch.testing.assert_close(mine, written, rtol=1e-12, atol=0)
