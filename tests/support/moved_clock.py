"""Processes whose clock differs from that of this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

#: Whether this machine can build the library.
AVAILABLE = bool(shutil.which("cc"))

#: Moves the clock of a process, and nothing else: by so many seconds as a file states.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, at);
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("MOVED_BY"), "r") : NULL;
    long by = 0;
    if (file && fscanf(file, "%ld", &by) == 1) at->tv_sec += by;
    if (file) fclose(file);
    return failed;
}
"""


class MovedClock:
    """The clock of the processes that are started with ``env``. It is moved by a file in ``folder``, at any moment."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.library, self.file = folder, folder / "moved.so", folder / "moved"
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(self.library), "-ldl"]
        subprocess.run(command, input=SOURCE, text=True, check=True)

    @property
    def env(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "MOVED_BY": str(self.file)}

    def put(self, seconds: int) -> None:
        """Let the clock differ by so many seconds from now on."""
        (self.folder / "next").write_text(str(seconds))
        (self.folder / "next").replace(self.file)
