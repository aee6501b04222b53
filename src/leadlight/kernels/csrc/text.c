/* Text as numbers: one look-up a value, without an object for each answer. */
#include "native.h"

#define LONGEST 64 /* entries of a list that are sorted by insertion */

/* text_codes(values, codes, out): write the code of each text of a list, -1 for None and for what has no code. Returns False,
   and leaves `out` unfinished, where a value is neither exactly str nor None. */
/* The code of a text; -1 for None and for what has none, -2 for what is neither exactly str nor None. */
static int32_t code_of(PyObject *codes, PyObject *value)
{
    if (value == Py_None)
        return -1;
    if (value == NULL || Py_TYPE(value) != &PyUnicode_Type)
        return -2;
    PyObject *code = PyDict_GetItemWithError(codes, value);
    return code == NULL ? -1 : (int32_t)PyLong_AsLong(code);
}

static PyObject *text_codes(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *values, *codes, *into;
    if (!PyArg_ParseTuple(args, "O!O!O", &PyList_Type, &values, &PyDict_Type, &codes, &into))
        return NULL;
    Py_buffer view;
    Py_ssize_t items = PyList_Size(values);
    if (native_view(into, &view, "out", 'i', 4, items, 1) < 0)
        return NULL;
    int32_t *out = view.buf;
    int plain = 1;
    for (Py_ssize_t i = 0; plain && i < items; i++) {
        out[i] = code_of(codes, PyList_GetItem(values, i));
        plain = out[i] != -2;
    }
    PyBuffer_Release(&view);
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(plain);
}

/* Sort codes, drop those that are there twice, and return how many are left. */
static Py_ssize_t distinct(int32_t *code, Py_ssize_t items)
{
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < items; i++) {
        int32_t new = code[i];
        Py_ssize_t at = kept;
        while (at > 0 && code[at - 1] > new)
            at--;
        if (at > 0 && code[at - 1] == new)
            continue;
        for (Py_ssize_t j = kept++; j > at; j--)
            code[j] = code[j - 1];
        code[at] = new;
    }
    return kept;
}

/* list_codes(lists, codes, offsets, out): write the distinct codes of each list of texts, in order, one list after the other,
   and where each begins. `out` has room for every entry. Returns how many codes there are; None, and leaves the rest
   unfinished, where something is neither exactly a list or tuple of str and None, nor None; or a list is too long to be sorted so. */
static PyObject *list_codes(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *lists, *codes, *offsets, *into;
    if (!PyArg_ParseTuple(args, "O!O!OO", &PyList_Type, &lists, &PyDict_Type, &codes, &offsets, &into))
        return NULL;
    Py_buffer from, view;
    Py_ssize_t rows = PyList_Size(lists);
    if (native_view(offsets, &from, "offsets", 'i', 8, rows + 1, 1) < 0)
        return NULL;
    if (native_view(into, &view, "out", 'i', 4, -1, 1) < 0) {
        PyBuffer_Release(&from);
        return NULL;
    }
    int64_t *offset = from.buf;
    int32_t *out = view.buf;
    Py_ssize_t room = view.len / 4, at = 0;
    int plain = 1;
    offset[0] = 0;
    for (Py_ssize_t i = 0; plain && i < rows; i++) {
        PyObject *list = PyList_GetItem(lists, i);
        int is_list = Py_TYPE(list) == &PyList_Type;
        plain = list == Py_None || is_list || Py_TYPE(list) == &PyTuple_Type;
        Py_ssize_t items = !plain || list == Py_None ? 0 : is_list ? PyList_Size(list) : PyTuple_Size(list);
        plain = plain && items <= LONGEST && items <= room - at;
        Py_ssize_t found = 0;
        for (Py_ssize_t j = 0; plain && j < items; j++) {
            int32_t code = code_of(codes, is_list ? PyList_GetItem(list, j) : PyTuple_GetItem(list, j));
            plain = code != -2;
            if (code >= 0)
                out[at + found++] = code;
        }
        at += distinct(out + at, found);
        offset[i + 1] = at;
    }
    PyBuffer_Release(&from);
    PyBuffer_Release(&view);
    if (PyErr_Occurred())
        return NULL;
    if (!plain) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    return PyLong_FromSsize_t(at);
}

PyMethodDef text_methods[] = {
    {"list_codes", list_codes, METH_VARARGS, NULL},
    {"text_codes", text_codes, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
