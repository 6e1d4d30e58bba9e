"""The CPU-bound task without any queue: what one process can do at best."""
import sys

from tasks import burn, done

for _ in range(int(sys.argv[1])):
    burn()
    done()
