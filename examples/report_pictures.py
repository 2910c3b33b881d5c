"""Pictures of a report for its documentation: how its page begins, and one of its charts.

``make figures`` writes docs/report.png and docs/report-accuracy.svg. The digits' convolutional network is swept, the page is opened in a
Chromium without a window, and its first screen is what the picture shows.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SWEEP = ("--width", "4:12", "--normalize", "none,pow2,affine")
GATE = ("--min-accuracy", "0.97", "--min-sqnr", "20")
SIZE = "1280,1360"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync")


def fxnorm(*words: str | Path) -> None:
    """Run a command of this environment's fxnorm."""
    program = "import sys; from fxnorm.cli import main; main(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def photograph(page: Path, picture: Path, scratch: Path) -> None:
    """Write the beginning of a page as a picture."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("report_pictures: needs Chromium to look at a page; on Debian: apt-get install chromium")
    where = [f"--user-data-dir={scratch / 'profile'}", f"--window-size={SIZE}", f"--screenshot={picture.resolve()}"]
    command = [browser, *FLAGS, *where, "--virtual-time-budget=20000", page.as_uri()]
    subprocess.run(command, check=True, timeout=120, capture_output=True)


def main() -> None:
    """Read the command line and write what it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, required=True, metavar="PNG", help="the beginning of the page")
    parser.add_argument("--chart", type=Path, required=True, metavar="SVG", help="accuracy against width")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        run, page = scratch / "run", scratch / "report.html"
        fxnorm("sweep", HERE / "digits_conv.onnx", "--data", HERE / "digits_conv_test.npz", *SWEEP, "-o", run)
        fxnorm("report", run, *GATE, "-o", page, "--plots", scratch / "plots")
        photograph(page, given.picture, scratch)
        shutil.copy(scratch / "plots" / "accuracy.svg", given.chart)


if __name__ == "__main__":
    main()
