"""The portal on Celery, with a queue of its own, for ``whole``."""

import os

from portal_site.settings import *

CELERY_TASK_DEFAULT_QUEUE = os.environ["BENCHMARK_QUEUE"]
