"""Sends a task and waits for its result, again and again; prints the milliseconds that each took and the CPU seconds of all."""
import json
import sys
import time

from tasks import add

for _ in range(int(sys.argv[2])):
    add.delay(2, 3).get(timeout=10)
cpu = time.process_time()
times = []
for _ in range(int(sys.argv[1])):
    begin = time.perf_counter()
    add.delay(2, 3).get(timeout=10)
    times.append((time.perf_counter() - begin) * 1000)
print(json.dumps({"times": times, "cpu": time.process_time() - cpu}))
