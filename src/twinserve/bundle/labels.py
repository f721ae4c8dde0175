"""Class labels in a latent vector, as networks trained with an auxiliary classifier take them:
Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017
(arXiv:1610.09585)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twinserve.bundle.openvino_runtime import openvino


def with_labels(model: Any, sizes: Sequence[int]) -> Any:
    """Make the last ``sum(sizes)`` elements of the model's ``latent`` into labels, one a group.

    In each group the largest element becomes 1 and the others 0. So a latent drawn from the
    standard normal distribution asks for every class equally often, as its seed decides, and one
    that already holds labels is left as it is. The model is changed in place and returned.
    """
    op = openvino().opset13
    latent = model.input("latent")
    consumers = list(latent.get_target_inputs())
    total = latent.get_partial_shape()[1].get_length()
    lengths = np.array([total - sum(sizes), *sizes])
    plain, *groups = op.variadic_split(latent, op.constant(1), op.constant(lengths)).outputs()
    labels = [_one_hot(group, size) for group, size in zip(groups, sizes, strict=True)]
    joined = op.concat([plain, *labels], 1).output(0)
    for consumer in consumers:
        consumer.replace_source_output(joined)
    model.validate_nodes_and_infer_types()
    return model


def _one_hot(group: Any, size: int) -> Any:
    op = openvino().opset13
    best = op.topk(group, op.constant(1), 1, "max", "value").output(1)
    one, zero = (op.constant(np.array(value, np.float32)) for value in (1, 0))
    return op.one_hot(op.squeeze(best, op.constant(1)), op.constant(size), one, zero, 1)
