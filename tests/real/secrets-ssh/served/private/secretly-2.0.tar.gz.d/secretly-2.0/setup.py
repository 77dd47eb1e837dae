from setuptools import setup

setup(name="secretly", version="2.0", py_modules=["secretly"])
