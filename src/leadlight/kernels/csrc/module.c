/* leadlight.kernels._native: the hot loops in C. It has no state; every function may run in many threads at once. */
#include "native.h"

#include <string.h>

static int kind_matches(const char *format, char kind)
{
    if (format == NULL)
        return kind == 'u';
    if (*format == '@' || *format == '=')
        format++;
    if (*format == '\0' || format[1] != '\0')
        return 0; /* nothing, a record, or another byte order */
    switch (kind) {
    case 'i': return strchr("bhilqn", *format) != NULL;
    case 'u': return strchr("BHILQN", *format) != NULL;
    case 'f': return strchr("fd", *format) != NULL;
    default: return *format == kind;
    }
}

int native_view(PyObject *object, Py_buffer *view, const char *name, char kind, Py_ssize_t size, Py_ssize_t items,
                int writable)
{
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) < 0)
        return -1;
    if (view->itemsize != size || !kind_matches(view->format, kind)) {
        PyErr_Format(PyExc_ValueError, "%s holds items of %zd bytes and format '%s', not of %zd bytes and kind '%c'.",
                     name, view->itemsize, view->format ? view->format : "", size, (int)kind);
        PyBuffer_Release(view);
        return -1;
    }
    if (items >= 0 && view->len / size != items) {
        PyErr_Format(PyExc_ValueError, "%s has %zd items instead of %zd.", name, view->len / size, items);
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

static int add_kernels(PyObject *module)
{
    if (PyModule_AddFunctions(module, sweep_methods) < 0 || PyModule_AddFunctions(module, trees_methods) < 0)
        return -1;
    if (PyModule_AddFunctions(module, linear_methods) < 0 || PyModule_AddFunctions(module, text_methods) < 0)
        return -1;
    return PyModule_AddFunctions(module, tree_shap_methods);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_kernels}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "The hot loops in C.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
