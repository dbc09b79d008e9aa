import sys
import tempfile
from pathlib import Path

from tests.system.upgrades import make

with tempfile.TemporaryDirectory() as made:
    make(sys.argv[1], Path(made))
