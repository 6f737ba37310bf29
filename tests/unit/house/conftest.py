"""The set-up's scripts lie in .ci and are no package: make them importable."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT / ".ci"))
