"""No incompatible change between two opsets is missed: every operator's definitions are compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import onnx
import pytest

from fxnorm.graph.inference import LIKE_ANOTHER, LIKE_INPUT
from fxnorm.graph.modernize import MODERNIZE, TARGET
from fxnorm.graph.validation import OLDEST_OPSET

# Changes of meaning that the definitions' attributes and inputs do not show.
SILENT = {"GroupNormalization", "PRelu", "RoiAlign"}


def definitions() -> dict[str, list[onnx.defs.OpSchema]]:
    """Definitions of every operator from the oldest opset that is read to the target, oldest first."""
    by_name = defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            by_name[schema.name][schema.since_version] = schema
    found = {}
    for name, versions in by_name.items():
        oldest = max((version for version in versions if version <= OLDEST_OPSET), default=0)
        found[name] = [versions[v] for v in sorted(versions) if oldest <= v <= onnx.defs.onnx_opset_version()]
    return found


def incompatibilities(old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> Iterator[str]:
    """What makes a node written for one definition mean something else, or nothing, under the next one."""
    for name, attribute in old.attributes.items():
        if name not in new.attributes:
            yield f"attribute {name} is gone"
        elif attribute.default_value.SerializeToString() != new.attributes[name].default_value.SerializeToString():
            if attribute.default_value.name == "":
                continue  # had no default; what it meant when left out is written out now
            yield f"the default of {name} changed"
    for name, attribute in new.attributes.items():
        if attribute.required and name not in old.attributes:
            yield f"attribute {name} is required"
    if new.min_input > old.min_input:
        yield "more inputs are required"
    if new.max_output < old.max_output:
        yield "outputs are gone"
    if new.deprecated:
        yield "the operator is gone"


CHANGES = [
    (name, new.since_version, list(incompatibilities(old, new)))
    for name, versions in sorted(definitions().items())
    for old, new in pairwise(versions)
]
INCOMPATIBLE = [(name, version, why) for name, version, why in CHANGES if why]


def test_the_comparison_sees_changes() -> None:
    assert {"Add", "Clip", "Softmax", "Split", "Upsample", "ReduceMean"} <= {name for name, _, _ in INCOMPATIBLE}


@pytest.mark.parametrize(("name", "version", "why"), INCOMPATIBLE, ids=str)
def test_every_incompatible_change_has_a_rewrite(name: str, version: int, why: list[str]) -> None:
    assert version <= TARGET, f"{name} changed after the target opset: {why}"
    assert name in MODERNIZE, f"{name} changed at opset {version}: {why}"


def test_every_rewrite_answers_a_change() -> None:
    assert set(MODERNIZE) <= {name for name, _, _ in INCOMPATIBLE} | SILENT | {"Resize"}


def test_every_operator_without_inference_is_listed() -> None:
    newest = {
        (schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas()
        if schema.domain == "" and not schema.has_type_and_shape_inference_function and not schema.deprecated
    }
    assert LIKE_INPUT <= newest <= LIKE_INPUT | set(LIKE_ANOTHER)
