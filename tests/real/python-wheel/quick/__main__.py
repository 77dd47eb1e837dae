import sys

from . import fib

print(fib(int(sys.argv[1])))
