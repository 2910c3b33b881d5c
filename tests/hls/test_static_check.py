"""Every rule of the static check: a source in which it must find something, on the right line, and one in which it must not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fxnorm.errors import UsageError
from fxnorm.hls import clang_tree
from fxnorm.hls.static_check import RULES, check

TYPES = {
    "ac": ("catapult/ac_types/include", "#include <ac_fixed.h>\n"),
    "ap": ("vivado/ap_types", "#include <ap_fixed.h>\n"),
}


def findings(
    folder: Path, text: str, *, header: str = "", vendor: str = "", defines: tuple[str, ...] = ()
) -> list[tuple[int, str]]:
    """Lines of a source file that are found fault with, and the rules; faults of own.h count from 1000, of vendor.h from 2000."""
    source, system = folder / "project" / "src", folder / "vendor"
    for place in (source, system):
        place.mkdir(parents=True, exist_ok=True)
    (source / "layer.cpp").write_text(text, encoding="utf-8")
    (source / "own.h").write_text(header, encoding="utf-8")
    (system / "vendor.h").write_text(vendor, encoding="utf-8")
    base = {"layer.cpp": 0, "own.h": 1000, "vendor.h": 2000}
    found = check([source / "layer.cpp"], system=[system], defines=defines)
    return [(base[Path(one.file).name] + one.line, one.rule) for one in found]


# Sources whose faults stand on lines that end with "//!".
FAULTS = {
    "float variable": ("float", "int f(int a) {\n  float b = a;  //!\n  return a;\n}\n"),
    "float literal": ("float", "int f(int a) {\n  return a > 0.5;  //!\n}\n"),
    "float parameter": ("float", "int f(double a);  //!\n"),
    "float result": ("float", "long double f(int a);  //!\n"),
    "float in a table": ("float", "static const float table[2] = {1, 2};  //!\n"),
    "float behind a pointer": ("float", "int f(const double* a);  //!\n"),
    "float as a template's argument": ("float", "template <typename T> struct box {};\nint f(box<float>* a);  //!\n"),
    "float cast": ("float", "int f(int a) {\n  return static_cast<int>((double)a);  //!\n}\n"),
    "float typedef": ("float", "typedef float real;  //!\n"),
    "float that a template gets": (
        "float",
        "template <typename T> T twice(T a) {  //!\n  return a + a;  //!\n}\nint f(int a) { return (int)twice<float>(a); }  //!\n",
    ),
    "new": ("heap", "int f() {\n  int* a = new int;  //!\n  return *a;\n}\n"),
    "delete": ("heap", "void f(int* a) {\n  delete a;  //!\n}\n"),
    "malloc": ("heap", "#include <cstdlib>\nvoid* f() {\n  return malloc(4);  //!\n}\n"),
    "std::malloc": ("heap", "#include <cstdlib>\nvoid* f() {\n  return std::malloc(4);  //!\n}\n"),
    "recursion": ("recursion", "int f(int a) {  //!\n  return a == 0 ? 1 : f(a - 1);\n}\n"),
    "recursion through others": (
        "recursion",
        "int g(int a);\nint f(int a) {  //!\n  return a == 0 ? 1 : g(a - 1);\n}\nint g(int a) { return f(a); }\n",
    ),
    "recursion in a template": (
        "recursion",
        "template <typename T> T f(T a) {  //!\n  return a == 0 ? a : f(a - 1);\n}\nint g(int a) { return f(a); }\n",
    ),
    "recursion in a method": ("recursion", "struct s {\n  int f(int a) { return a ? f(a - 1) : 0; }  //!\n};\n"),
    "while": ("loop", "int f(int a) {\n  while (a > 0) --a;  //!\n  return a;\n}\n"),
    "do": ("loop", "int f(int a) {\n  do --a; while (a > 0);  //!\n  return a;\n}\n"),
    "goto": ("loop", "int f(int a) {\nagain:\n  if (--a > 0) goto again;  //!\n  return a;\n}\n"),
    "for over a range": (
        "loop",
        "int f(const int (&a)[3]) {\n  int s = 0;\n  for (int v : a) s += v;  //!\n  return s;\n}\n",
    ),
    "for with an end that is data": (
        "loop",
        "int f(int a) {\n  int s = 0;\n  for (int i = 0; i < a; ++i) s += i;  //!\n  return s;\n}\n",
    ),
    "for with a start that is data": (
        "loop",
        "int f(int a) {\n  int s = 0;\n  for (int i = a; i < 9; ++i) s += i;  //!\n  return s;\n}\n",
    ),
    "for with a const that is data": (
        "loop",
        "int f(int a) {\n  const int n = a;\n  int s = 0;\n  for (int i = 0; i < n; ++i) s += i;  //!\n  return s;\n}\n",
    ),
    "for with a variable that is no const": (
        "loop",
        "int f(int a) {\n  int n = 4;\n  for (int i = 0; i < n; ++i) a += i;  //!\n  return a;\n}\n",
    ),
    "for without an end": ("loop", "int f(int a) {\n  for (int i = 0;; ++i) if (i > a) return i;  //!\n}\n"),
    "for that never ends": ("loop", "int f(int a) {\n  for (;;) if (--a < 0) return a;  //!\n}\n"),
    "for that runs away": ("loop", "int f(int a) {\n  for (int i = 0; i < 9; --i) a += i;  //!\n  return a;\n}\n"),
    "for with a step that is data": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; i += a) a += i;  //!\n  return a;\n}\n",
    ),
    "for with a step of zero": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; i += 0) a += i;  //!\n  return a;\n}\n",
    ),
    "for whose body changes the counter": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; ++i) { if (a) i = 0; }  //!\n  return a;\n}\n",
    ),
    "for whose body counts too": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; ++i) { a += i--; }  //!\n  return a;\n}\n",
    ),
    "for whose body gives the counter away": (
        "loop",
        "void g(int& a);\nint f(int a) {\n  for (int i = 0; i < 9; ++i) g(i);  //!\n  return a;\n}\n",
    ),
    "for whose body takes a reference": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; ++i) { int& j = i; j = a; }  //!\n  return a;\n}\n",
    ),
    "for whose body takes the address": (
        "loop",
        "int f(int a) {\n  for (int i = 0; i < 9; ++i) { int* j = &i; *j = a; }  //!\n  return a;\n}\n",
    ),
    "for with another counter": (
        "loop",
        "int f(int a) {\n  for (int i = 0, j = 0; j < 9; ++i) a += i;  //!\n  return a;\n}\n",
    ),
    "for in a template, with data": (
        "loop",
        "template <typename T> int g(T n) {\n  for (int i = 0; i < n; ++i) n += 1;  //!\n  return n;\n}\nint f(int a) { return g(a); }\n",
    ),
    "global": ("state", "int total;  //!\n"),
    "global in a namespace": ("state", "namespace n { int total = 3; }  //!\n"),
    "static local": ("state", "int f() {\n  static int total = 0;  //!\n  return ++total;\n}\n"),
    "static array": ("state", "int f(int a) {\n  static int total[2] = {0, 0};  //!\n  return total[a];\n}\n"),
    "static pointer to const": ("state", "static const int* table;  //!\n"),
    "static member": ("state", "struct s { static int total; };  //!\nint s::total = 0;  //!\n"),
    "mutable member": ("state", "struct s { mutable int total; };  //!\n"),
    "extern": ("state", "extern int total;  //!\n"),
    "static in a template": (
        "state",
        "template <int N> int g() {\n  static int total = N;  //!\n  return ++total;\n}\nint f() { return g<3>(); }\n",
    ),
    "vector": ("container", "#include <vector>\nint f(const std::vector<int>& a);  //!\n"),
    "array": ("container", "#include <array>\nint f() {\n  std::array<int, 3> a = {};  //!\n  return a[0];\n}\n"),
    "string": ("container", "#include <string>\nstruct s { std::string name; };  //!\n"),
    "virtual": ("virtual", "struct s { virtual int f(); };  //!\n"),
    "virtual destructor": ("virtual", "struct s { virtual ~s(); };  //!\n"),
    "virtual base": ("virtual", "struct a {};\nstruct b : virtual a {};  //!\n"),
    "throw": ("exception", "int f(int a) {\n  if (a) throw 1;  //!\n  return a;\n}\n"),
    "try": ("exception", "int g();\nint f() {\n  try { return g(); } catch (int a) { return a; }  //!\n}\n"),
    "array of no constant size": ("array", "int f(int a) {\n  int b[a];  //!\n  return b[0];\n}\n"),
    "division": ("division", "int f(int a, int b) {\n  return a / b;  //!\n}\n"),
    "division by a constant": ("division", "int f(int a) {\n  return a / 3;  //!\n}\n"),
    "remainder": ("division", "int f(int a) {\n  return a % 5;  //!\n}\n"),
    "division with assignment": ("division", "int f(int a, int b) {\n  a /= b;  //!\n  return a;\n}\n"),
    "division of a constant": ("division", "int f(int a) {\n  return 8 / a;  //!\n}\n"),
    "division of objects": (
        "division",
        "struct s { int v; };\nint operator/(s a, s b);\nint f(s a, s b) {\n  return a / b;  //!\n}\n",
    ),
    "division in a template": (
        "division",
        "template <typename T> T g(T a, T b) {\n  return a / b;  //!\n}\nint f(int a) { return g(a, a); }\n",
    ),
    "macro": ("macro", "#define W 8  //!\nint f();\n"),
    "macro with parameters": ("macro", "#define S2(a) a  //!\nint f();\n"),
    "what does not compile": ("parse", "int f() {\n  return undeclared;  //!\n}\n"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(tmp_path: Path, name: str) -> None:
    rule, text = FAULTS[name]
    wanted = [(line, rule) for line, words in enumerate(text.splitlines(), 1) if words.endswith("//!")]
    assert wanted
    assert findings(tmp_path, text) == wanted


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS.values()} == set(RULES)


# A vendor's header has to compile, and macros are judged where they stand.
@pytest.mark.parametrize("name", [name for name, (rule, _) in FAULTS.items() if rule not in {"parse", "macro"}])
def test_vendors_are_not_judged(tmp_path: Path, name: str) -> None:
    text = FAULTS[name][1]
    found = findings(tmp_path, "#include <vendor.h>\nint own(int a) {\n  return a + 1;\n}\n", vendor=text)
    assert found == []


@pytest.mark.parametrize("name", FAULTS)
def test_own_headers_are_judged(tmp_path: Path, name: str) -> None:
    rule, text = FAULTS[name]
    wanted = [(1000 + line, rule) for line, words in enumerate(text.splitlines(), 1) if words.endswith("//!")]
    assert findings(tmp_path, '#include "own.h"\n', header=text) == wanted


CLEAN = """
#include <vendor.h>
#define FX_COUNT(layer, n)
namespace fx {
constexpr int bits(int a) { return a / 4; }
template <int N, typename T>
inline T sum(const T (&values)[N]) {
  const int last = bits(4 * N) - 1;
  T total = 0;
sum_values:
  for (int i = last; i >= 0; --i) total = total + values[i];
  return total;
}
template <int N> inline int down(int a) { return down<N - 1>(a) + 1; }
template <> inline int down<0>(int a) { return a; }
}  // namespace fx
typedef int t03_t;
struct t03_beat { t03_t lane[4]; };
static const signed char weights[4] = {1, -2, 3, -4};
static const int shifts[2][2] = {{1, 2}, {3, 4}};
static const int* const table = shifts[0];
static constexpr int WIDTH = 8 * (25 / 3 % 7);
void layer(const t03_t x[4], t03_t y[4]) {
  int total = 0;
outer:
  for (int i = 0; i < 4; ++i) {
  inner:
    for (unsigned j = 0; j != 4; j++) total += weights[i] * x[j];
    for (int j = WIDTH / 2; j > -WIDTH; j -= 3) total += j;
    y[i] = total >> (i / 2) ^ (i % 4);
    FX_COUNT(layer, total);
  }
  t03_t copy[sizeof(weights) / sizeof(weights[0])];
  for (int i = 0; i < 4; ++i) copy[i] = y[i];
  total = fx::sum(copy) + fx::down<3>(total) + vendor_quotient(total, 7);
  y[0] = total;
}
"""


def test_clean_code_is_not_flagged(tmp_path: Path) -> None:
    vendor = "inline int vendor_quotient(int a, int b) { double c = a; while (c > b) c -= b; return (int)c / b; }\n"
    assert findings(tmp_path, CLEAN, vendor=vendor) == []


@pytest.mark.parametrize("what", ["ac_channel", "hls::stream"])
def test_channels_may_be_static(tmp_path: Path, what: str) -> None:
    vendor = (
        "template <typename T> struct ac_channel { T a[9]; int n; };\n"
        "namespace hls { template <typename T> struct stream { T a[9]; int n; }; }\n"
    )
    text = f"#include <vendor.h>\nvoid f() {{\n  static {what}<int> a;\n  static {what}<int> more[2];\n}}\n"
    assert findings(tmp_path, text, vendor=vendor) == []
    assert findings(tmp_path, text + f"static {what}<int> outside;\n", vendor=vendor) == [(6, "state")]


def test_what_is_defined_decides_what_is_read(tmp_path: Path) -> None:
    text = "#ifdef FX_COUNTERS\nextern long long counter;\n#endif\nint f();\n"
    assert findings(tmp_path, text) == []
    assert findings(tmp_path, text, defines=("FX_COUNTERS",)) == [(2, "state")]


def test_files_are_judged_together(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("int g(int a);\nint f(int a) {\n  return g(a);\n}\n", encoding="utf-8")
    (tmp_path / "b.cpp").write_text("int f(int a);\nint g(int a) {\n  return f(a);\n}\n", encoding="utf-8")
    (found,) = check([tmp_path / "a.cpp", tmp_path / "b.cpp"])
    assert (Path(found.file).name, found.line, found.rule) == ("a.cpp", 2, "recursion")
    assert str(found).endswith("a.cpp:2: recursion: f calls g calls f")


def test_files_that_do_not_get_along_are_judged_one_by_one(tmp_path: Path) -> None:
    """Two files with tables of one name, which are no fault; one of them has a fault of its own."""
    for name, more in (("a", ""), ("b", "int total;\n")):
        (tmp_path / f"{name}.cpp").write_text(f"static const int table[1] = {{1}};\n{more}", encoding="utf-8")
    (found,) = check([tmp_path / "a.cpp", tmp_path / "b.cpp"])
    assert (Path(found.file).name, found.line, found.rule) == ("b.cpp", 2, "state")


@pytest.mark.parametrize("types", TYPES)
def test_vendors_types_are_seen_through(tmp_path: Path, types: str) -> None:
    """The real ac_types and ap_types: arithmetic on them is fine, a division or a double of them is not."""
    package = importlib.util.find_spec("hls4ml")
    if package is None or package.origin is None:
        pytest.skip("the headers of ac_types and ap_types come with hls4ml")
    folder, include = TYPES[types]
    text = (
        f"{include}"
        f"typedef {types}_fixed<8, 5{', true' if types == 'ac' else ''}> value_t;\n"
        "void f(const value_t x[3], value_t y[3]) {\n"
        "  for (int i = 0; i < 3; ++i) {\n"
        "    value_t z = x[i] * x[0] + x[1];\n"
        "    if (z > x[2]) z = x[2];\n"
        "    y[i] = z;\n"
        "  }\n"
        "}\n"
        "void g(value_t& y) {\n"
        "  y = y / y;\n"
        "  y = y.to_double() > 0;\n"
        "  y = 0.25;\n"
        "}\n"
    )
    source = tmp_path / "layer.cpp"
    source.write_text(text, encoding="utf-8")
    found = check([source], system=[Path(package.origin).parent / "templates" / folder])
    assert [(one.line, one.rule) for one in found] == [(11, "division"), (12, "float"), (13, "float")]


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clang_tree.bindings.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "clang", None)
    try:
        with pytest.raises(UsageError, match=r"needs libclang.*pip install"):
            check([tmp_path / "layer.cpp"])
    finally:
        monkeypatch.undo()
        clang_tree.bindings.cache_clear()


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"layer\.cpp"):
        check([tmp_path / "layer.cpp"])
