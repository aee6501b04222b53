/* The arrays of a log, checked and held, and the index of its rows. */
#include "sweep.h"

#include <stdlib.h>

void release_log(Log *log)
{
    while (log->n_views > 0)
        PyBuffer_Release(&log->view[--log->n_views]);
    free(log);
}

/* Hold one array of the log; `target` stays NULL for None. */
static int hold(Log *log, PyObject *object, const char *name, char kind, Py_ssize_t size, Py_ssize_t items, const void **target)
{
    if (object == Py_None)
        return 0;
    Py_buffer *view = &log->view[log->n_views];
    if (native_view(object, view, name, kind, size, items, 0) < 0)
        return -1;
    log->n_views++;
    *target = view->buf;
    return 0;
}

static int codes_fit(const int32_t *codes, int64_t n, int64_t entries, const char *name)
{
    int32_t low = 0, high = -1;
    for (int64_t i = 0; i < n; i++) {
        low = codes[i] < low ? codes[i] : low;
        high = codes[i] > high ? codes[i] : high;
    }
    if (low >= -1 && high < entries)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s holds codes from %d to %d for a dictionary of %lld entries.", name, (int)low, (int)high,
                 (long long)entries);
    return 0;
}

static int check_log(Log *log, const long long *entries)
{
    static const char *const names[ATTRIBUTES] = {"action", "tag_codes", "group", "role", "job_function", "field_code", ""};
    log->largest = -1;
    log->earliest = INT64_MAX;
    for (int64_t i = 0; i < log->n; i++) {
        log->largest = log->actor[i] > log->largest ? log->actor[i] : log->largest;
        log->earliest = log->time[i] < log->earliest ? log->time[i] : log->earliest;
    }
    if (log->other)
        for (int64_t i = 0; i < log->n; i++)
            log->largest = log->other[i] > log->largest ? log->other[i] : log->largest;
    if (!codes_fit(log->action, log->n, entries[0], names[0]))
        return -1;
    for (int a = TAG; a <= FIELD; a++)
        if (log->code[a] && !codes_fit(log->code[a], a == TAG ? log->n_tags : log->n, entries[a], names[a]))
            return -1;
    if (log->tag_from == NULL)
        return 0;
    int sound = log->tag_from[0] == 0 && log->tag_from[log->n] == log->n_tags;
    for (int64_t i = 0; i < log->n; i++)
        sound &= log->tag_from[i] <= log->tag_from[i + 1];
    return sound ? 0 : refuse("tag_offsets do not ascend from 0 to the number of tags.");
}

/* Arrays in the order of EncodedLog, then the sizes of the six dictionaries. */
Log *make_log(PyObject *arrays, PyObject *sizes)
{
    PyObject *o[14];
    long long entries[6];
    if (!PyTuple_Check(arrays) || !PyTuple_Check(sizes)) {
        PyErr_SetString(PyExc_TypeError, "A log is a tuple of arrays, and one of the sizes of its dictionaries.");
        return NULL;
    }
    if (!PyArg_ParseTuple(arrays, "OOOOOOOOOOOOOO", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7], &o[8], &o[9], &o[10],
                          &o[11], &o[12], &o[13]) ||
        !PyArg_ParseTuple(sizes, "LLLLLL", &entries[0], &entries[1], &entries[2], &entries[3], &entries[4], &entries[5]))
        return NULL;
    Log *log = calloc(1, sizeof(Log));
    if (log == NULL)
        return no_memory();
    if (hold(log, o[1], "time", 'i', 8, -1, (const void **)&log->time) < 0)
        goto failed;
    Py_ssize_t n = log->time ? log->view[0].len / 8 : -1;
    log->n = n;
    if (hold(log, o[0], "actor", 'i', 8, n, (const void **)&log->actor) < 0 ||
        hold(log, o[2], "action", 'i', 4, n, (const void **)&log->action) < 0 ||
        hold(log, o[3], "visible_from", 'i', 8, n, (const void **)&log->visible) < 0 ||
        hold(log, o[4], "other", 'i', 8, n, (const void **)&log->other) < 0 ||
        hold(log, o[5], "group", 'i', 4, n, (const void **)&log->code[GROUP]) < 0 ||
        hold(log, o[6], "role", 'i', 4, n, (const void **)&log->code[ROLE]) < 0 ||
        hold(log, o[7], "job_function", 'i', 4, n, (const void **)&log->code[JOB_FUNCTION]) < 0 ||
        hold(log, o[8], "field_code", 'i', 4, n, (const void **)&log->code[FIELD]) < 0 ||
        hold(log, o[9], "filled", '?', 1, n, (const void **)&log->filled) < 0 ||
        hold(log, o[10], "same_domain", '?', 1, n, (const void **)&log->same_domain) < 0 ||
        hold(log, o[11], "duration_ms", 'i', 8, n, (const void **)&log->duration) < 0 ||
        hold(log, o[13], "tag_codes", 'i', 4, -1, (const void **)&log->code[TAG]) < 0)
        goto failed;
    if (log->code[TAG])
        log->n_tags = log->view[log->n_views - 1].len / 4;
    if (hold(log, o[12], "tag_offsets", 'i', 8, n + 1, (const void **)&log->tag_from) < 0)
        goto failed;
    if (log->code[TAG] == NULL || log->tag_from == NULL) { /* one without the other says nothing */
        log->code[TAG] = NULL;
        log->tag_from = NULL;
    }
    if (log->time == NULL || log->actor == NULL || log->action == NULL) {
        refuse("A log has actors, times and actions.");
        goto failed;
    }
    if (check_log(log, entries) == 0)
        return log;
failed:
    release_log(log);
    return NULL;
}

void release_index(Index *x)
{
    free(x->count);
    free(x->first);
    free(x->from);
    free(x->entry);
    free(x);
}

Index *make_index(const Log *log, int received)
{
    int failed;
    if (log->n >= INT32_MAX || log->largest >= INT32_MAX - 1) {
        PyErr_SetString(PyExc_OverflowError, "The log is too large for the native kernel.");
        return NULL;
    }
    Index *x = calloc(1, sizeof(Index));
    if (x == NULL)
        return no_memory();
    Py_BEGIN_ALLOW_THREADS
    failed = index_log(log, x, received) < 0;
    Py_END_ALLOW_THREADS
    if (failed) {
        release_index(x);
        return no_memory();
    }
    return x;
}
