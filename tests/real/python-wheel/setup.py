from setuptools import Extension, setup

setup(packages=["quick"], ext_modules=[Extension("quick._fib", ["src/fib.c"])])
