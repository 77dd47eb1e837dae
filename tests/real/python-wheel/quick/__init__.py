from ._fib import fib
