"""Templates: what is missing is an error that names the template and the line; nothing is written in its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fxnorm.hls.dialect import CATAPULT, VITIS
from fxnorm.hls.emitter import Emitter, TemplateFault, template_folder

FILES = {
    "a.j2": "first\nsecond\n{{ missing }}\n",
    "b.j2": "first\n{{ thing.name }}\n",
    "c.j2": "first\n\n{% if %}\n",
    "d.j2": "{% import 'e.j2' as e %}\n{{ e.part(1) }}\n",
    "e.j2": "{% macro part(x) %}\nfirst\n{{ x }} {{ nowhere }}\n{% endmacro %}\n",
    "f.j2": "{% for line in lines %}\n{{ line }}\n{% endfor %}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("template", "place", "name"),
    [
        ("a.j2", "a.j2:3", "'missing' is undefined"),
        ("b.j2", "b.j2:2", "has no attribute 'name'"),
        ("c.j2", "c.j2:3", ""),
        ("d.j2", "e.j2:3", "'nowhere' is undefined"),
        ("f.j2", "f.j2:1", "'lines' is undefined"),
    ],
)
def test_what_is_missing_is_named_with_its_line(folder: Path, template: str, place: str, name: str) -> None:
    with pytest.raises(TemplateFault) as fault:
        Emitter(folder=folder).render(template, thing=object())
    assert place in str(fault.value)
    assert name in str(fault.value)


def test_a_template_of_the_package_wants_all_its_values() -> None:
    with pytest.raises(TemplateFault, match=r"project/types\.h\.j2:\d+: .*'ports' is undefined"):
        Emitter(VITIS).render("project/types.h.j2", name="net")


def test_templates_are_those_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(TemplateFault):
        Emitter(VITIS).render(str(tmp_path / "own.j2"))
    with pytest.raises(TemplateFault):
        Emitter(VITIS).render("../pyproject.toml")


def test_no_template_is_a_copy_for_one_target() -> None:
    """One a kernel; the two dialects differ in what `Dialect` spells, in scripts, and in the headers of types."""
    root = template_folder()
    for path in (root / "kernels").iterdir():
        text = path.read_text()
        assert not re.search(r"\b(?:ac|ap)_(?:u?int|u?fixed|channel)\b|hls::|#pragma", text), path.name
        assert text.count("d.vitis") == (path.name == "macros.j2"), path.name
    assert {"kernels", "include", "project"} <= {path.name for path in root.iterdir() if path.is_dir()}
    assert VITIS.before_loop(pipeline=1) == () == CATAPULT.inside_loop(pipeline=1)
