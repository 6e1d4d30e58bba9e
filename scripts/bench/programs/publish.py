"""Publishes tasks `one` by one, or in `bulk`: with one producer held, the fastest way there is; prints seconds and CPU seconds."""
import json
import sys
import time

from tasks import add, app

mode, count = sys.argv[1], int(sys.argv[2])
for _ in range(20):
    add.delay(2, 3)
cpu = time.process_time()
begin = time.perf_counter()
if mode == "one":
    for _ in range(count):
        add.delay(2, 3)
else:
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            add.apply_async((2, 3), producer=producer)
print(json.dumps({"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}))
