"""The notation that DARTS code bases print, read without evaluating anything but literals.

What its fields mean is in `genotype.py`.
"""

from __future__ import annotations

import ast
from typing import Any

from nas_core.errors import InputError


def darts_fields(text: str) -> dict[str, Any]:
    """Return the keyword arguments of `Genotype(...)`, literals and range(a, b) only.

    Raises:
        InputError: any other text.

    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args or ast.unparse(call.func) != "Genotype":
            raise ValueError("expected Genotype(normal=..., reduce=...)")
        return {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"{shortened(text)} is no DARTS notation: {error}") from None


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 - the callers check what they get
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range" and not node.keywords:
        bounds = [ast.literal_eval(argument) for argument in node.args]
        if any(type(bound) is not int or abs(bound) > 100 for bound in bounds):
            raise ValueError(f"range over {bounds}")
        return list(range(*bounds))
    return ast.literal_eval(node)


def shortened(text: str) -> str:
    """Return a text as an error message quotes it: its beginning, if it is long."""
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")
