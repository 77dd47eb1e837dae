#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *fib(PyObject *self, PyObject *args) {
    unsigned long long a = 0, b = 1, next;
    int n;
    if (!PyArg_ParseTuple(args, "i", &n)) return NULL;
    for (; n > 0; n--) { next = a + b; a = b; b = next; }
    return PyLong_FromUnsignedLongLong(a);
}

static PyMethodDef methods[] = {{"fib", fib, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fib", NULL, -1, methods};

PyMODINIT_FUNC PyInit__fib(void) { return PyModule_Create(&module); }
