/* The linear half of a model: what is left of it once NumPy has taken the logarithms, so that both kernels use the same ones. */
#include "native.h"

#include <math.h>

/* A column: where its value is held, the logarithms of both ends, and what `terms` of linear.py computes from the rest. */
typedef struct {
    double low, high, log_low, log_high, mean, scale, coef, present, missing;
} Column;

#define LONG_WORK 65536 /* numbers from which it pays to let other threads run */
#define NUMBERS ((int64_t)(sizeof(Column) / sizeof(double)))

static inline double term(const Column *c, double x, double log)
{
    double at = x < c->low ? c->log_low : x > c->high ? c->log_high : copysign(log, x);
    double present = c->coef * ((at - c->mean) / c->scale) + c->present;
    return x == x ? present : c->missing;
}

/* Added from the first column to the last, so a row alone and the same row in a batch give the same bits. */
static double row_margin(const Column *column, int64_t width, const double *x, const double *log, double sum)
{
    for (int64_t j = 0; j < width; j++)
        sum += term(column + j, x[j], log[j]);
    return sum;
}

/* `out` has one number a row for the margins, one a column and row for their terms. */
static PyObject *linear(PyObject *args, int margins)
{
    PyObject *array[4], *answer = NULL;
    static const char *const names[4] = {"out", "columns", "X", "logarithms"};
    Py_buffer view[4];
    double intercept;
    int open = 0;
    if (!PyArg_ParseTuple(args, "OdOOO", array + 1, &intercept, array + 2, array + 3, array))
        return NULL;
    int64_t rows = 0, width = 0;
    for (; open < 4; open++) {
        Py_ssize_t items = open < 2 ? -1 : (Py_ssize_t)(rows * width);
        if (native_view(array[open], view + open, names[open], 'f', 8, items, open == 0) < 0)
            goto done;
        if (open == 1) {
            width = view[1].len / 8 / NUMBERS;
            rows = margins ? view[0].len / 8 : width ? view[0].len / 8 / width : 0;
            if (view[1].len / 8 != width * NUMBERS || view[0].len / 8 != (margins ? rows : rows * width)) {
                PyErr_Format(PyExc_ValueError, "columns has %zd items, not %d for each, or out does not fit them.",
                             view[1].len / 8, (int)NUMBERS);
                open++;
                goto done;
            }
        }
    }
    const double *x = view[2].buf, *log = view[3].buf;
    double *out = view[0].buf;
    PyThreadState *state = rows * width > LONG_WORK ? PyEval_SaveThread() : NULL;
    const Column *column = view[1].buf;
    for (int64_t r = 0; r < rows; r++, x += width, log += width)
        if (margins)
            out[r] = row_margin(column, width, x, log, intercept);
        else
            for (int64_t j = 0; j < width; j++)
                out[r * width + j] = term(column + j, x[j], log[j]);
    if (state != NULL)
        PyEval_RestoreThread(state);
    answer = Py_None;
    Py_INCREF(answer);
done:
    while (open--)
        PyBuffer_Release(view + open);
    return answer;
}

static PyObject *linear_margin(PyObject *self, PyObject *args)
{
    (void)self;
    return linear(args, 1);
}

static PyObject *linear_terms(PyObject *self, PyObject *args)
{
    (void)self;
    return linear(args, 0);
}

static PyObject *has_infinity(PyObject *self, PyObject *X)
{
    (void)self;
    Py_buffer view;
    if (native_view(X, &view, "X", 'f', 8, -1, 0) < 0)
        return NULL;
    const double *x = view.buf;
    int64_t items = view.len / 8, found = 0;
    PyThreadState *state = items > LONG_WORK ? PyEval_SaveThread() : NULL;
    for (int64_t i = 0; i < items; i++)
        found |= fabs(x[i]) == INFINITY;
    if (state != NULL)
        PyEval_RestoreThread(state);
    PyBuffer_Release(&view);
    return PyBool_FromLong((long)found);
}

PyMethodDef linear_methods[] = {
    {"linear_margin", linear_margin, METH_VARARGS, NULL},
    {"linear_terms", linear_terms, METH_VARARGS, NULL},
    {"has_infinity", has_infinity, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
