"""A verdict as JUnit XML, which GitLab, Jenkins, Azure and most others show as a list of tests."""

from __future__ import annotations

from xml.etree import ElementTree

from fxnorm.gate.verdict import Verdict
from fxnorm.report.text import printable


def junit_xml(verdict: Verdict, suite: str) -> str:
    """One suite for each configuration, one case for each check.

    Parameters
    ----------
    suite
        Name of the whole, for instance the model's.
    """
    whole = ElementTree.Element("testsuites")
    _counted(
        whole, printable(suite), len(verdict.checks), len(verdict.violations), sum(s.seconds for s in verdict.subjects)
    )
    for subject in verdict.subjects:
        checks = verdict.of(subject)
        own = ElementTree.SubElement(whole, "testsuite")
        name = printable(subject.name)
        _counted(own, name, len(checks), sum(not check.passed for check in checks), subject.seconds)
        own.set("skipped", "0")
        if subject.command:
            properties = ElementTree.SubElement(own, "properties")
            ElementTree.SubElement(properties, "property", name="command", value=printable(subject.command))
        for check in checks:
            title = printable(f"{check.rule} {check.where}".strip())
            case = ElementTree.SubElement(own, "testcase", name=title, classname=name, time="0")
            if not check.passed:
                ElementTree.SubElement(
                    case, "failure", message=printable(check.text), type=check.rule
                ).text = printable(check.message)
    ElementTree.indent(whole)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(whole, encoding="unicode") + "\n"


def _counted(element: ElementTree.Element, name: str, tests: int, failures: int, seconds: float) -> None:
    for key, value in (
        ("name", name),
        ("tests", tests),
        ("failures", failures),
        ("errors", 0),
        ("time", f"{seconds:.3f}"),
    ):
        element.set(key, str(value))
