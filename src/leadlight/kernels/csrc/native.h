/* What every source of the extension shares: the limited API of Python 3.11, and the parts that make up the module. */
#ifndef LEADLIGHT_NATIVE_H
#define LEADLIGHT_NATIVE_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <stddef.h>
#include <stdint.h>

/* One table of functions for each kernel; module.c adds them to the module. */
extern PyMethodDef sweep_methods[];
extern PyMethodDef trees_methods[];
extern PyMethodDef tree_shap_methods[];
extern PyMethodDef linear_methods[];
extern PyMethodDef text_methods[];

/* A view of a C-contiguous array whose items are `kind` ('i' signed integer, 'u' unsigned, 'f' float, '?' bool) of `size`
   bytes. Returns 0, or -1 with an exception that names the array. A negative `items` accepts any length. */
int native_view(PyObject *object, Py_buffer *view, const char *name, char kind, Py_ssize_t size, Py_ssize_t items,
                int writable);

#endif
