"""Processes whose clock differs from that of this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

#: Whether this machine can build the library.
AVAILABLE = bool(shutil.which("cc"))

#: Moves the clock of a process, and nothing else: by so many seconds as a file states. Python asks the first function,
#: and SQLite the second.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long moved_by(void) {
    FILE *file = fopen(getenv("MOVED_BY"), "r");
    long by = 0;
    if (file && fscanf(file, "%ld", &by) != 1) by = 0;
    if (file) fclose(file);
    return by;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, at);
    if (id == CLOCK_REALTIME) at->tv_sec += moved_by();
    return failed;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int failed = real(at, zone);
    at->tv_sec += moved_by();
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
