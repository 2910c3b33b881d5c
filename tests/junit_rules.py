"""The rules of JUnit XML as its readers have them (Jenkins' junit-10.xsd, which GitLab's and Azure's readers accept)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "property": set(),
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "failure": set(),
}
ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "disabled", "errors"}),
    "testsuite": (
        {"name"},
        {"tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
    ),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name"}, {"assertions", "time", "classname", "status"}),
    "failure": (set(), {"type", "message"}),
}


def check_junit(text: str) -> Any:
    """The root of a sound document; counts have to be those of what is inside."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    _check(root)
    suites = root.findall("testsuite")
    for element in (root, *suites):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests", "-1")) == len(cases)
        assert int(element.get("failures", "-1")) == sum(case.find("failure") is not None for case in cases)
        assert int(element.get("errors", "-1")) == sum(case.find("error") is not None for case in cases) == 0
        assert float(element.get("time", "nan")) >= 0.0
    return root


def _check(element: Any) -> None:
    required, optional = ATTRIBUTES[element.tag]
    assert required <= set(element.attrib) <= required | optional, element.attrib
    order = [child.tag for child in element]
    assert set(order) <= CHILDREN[element.tag]
    if "properties" in order:
        assert order.index("properties") == 0
        assert order.count("properties") == 1
    if element.tag == "testcase":
        assert len(order) <= 1
    for child in element:
        _check(child)
