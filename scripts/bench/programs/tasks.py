"""The app of Python's Celery, and the same counter: a mapped file of three doubles."""
import hashlib
import json
import mmap
import os
import struct
import time

from celery import Celery

BENCH = json.loads(os.environ["BENCH"])
app = Celery("tasks", broker=BENCH["broker"], backend=BENCH["backend"])
app.conf.update(BENCH["settings"])

_pid = _map = None
_count = 0
_first = 0.0


def done():
    global _pid, _map, _count, _first
    now = time.time() * 1000
    if _pid != os.getpid():  # Forked.
        _pid, _count, _first = os.getpid(), 0, now
        with open(os.path.join(os.environ["BENCH_COUNTERS"], str(_pid)), "w+b") as file:
            file.truncate(24)
            _map = mmap.mmap(file.fileno(), 24)
    _count += 1
    struct.pack_into("=ddd", _map, 0, _count, _first, now)


def burn():
    """About 5 ms of one core."""
    digest = bytes(32)
    for _ in range(7000):
        digest = hashlib.sha256(digest).digest()
    return digest[0]


@app.task(name="tasks.add")
def add(x, y):
    done()
    return x + y


@app.task(name="tasks.cpu")
def cpu():
    value = burn()
    done()
    return value


@app.task(name="tasks.sleep")
def sleep():
    time.sleep(0.05)
    done()
    return 50


@app.task(name="tasks.size")
def size(text):
    done()
    return len(text)
