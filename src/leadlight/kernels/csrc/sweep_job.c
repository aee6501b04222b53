/* The observations of one sweep, with what their members did before the log. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

/* A result of more cells than this leaves the caches before it is read again. */
#define FAR_CELLS (1 << 24)

void release_job(Job *job)
{
    while (job->n_views > 0)
        PyBuffer_Release(&job->view[--job->n_views]);
    free(job->row);
    free(job->cutoff);
    free(job->entity);
    free(job->entity_from);
    free(job->accounts.from);
    free(job->accounts.list);
    free(job->accounts.cutoff);
    free(job->accounts.count);
    free(job->folded_memory);
    free(job);
}

static int view_job(Job *job, PyObject *object, const char *name, char kind, Py_ssize_t size, Py_ssize_t items, int writable,
                    void **buffer, int64_t *length)
{
    *buffer = NULL;
    *length = 0;
    if (object == Py_None)
        return 0;
    Py_buffer *view = &job->view[job->n_views];
    if (native_view(object, view, name, kind, size, items, writable) < 0)
        return -1;
    job->n_views++;
    *buffer = view->buf;
    *length = view->len / size;
    return 0;
}

static int check_observations(const Job *job, const int64_t *entity, const int64_t *cutoff)
{
    const int64_t most = (int64_t)1 << 62;
    for (int64_t i = 0; i < job->rows; i++) {
        if (entity[i] < 0 || (job->account_of && entity[i] >= job->n_account_of))
            return refuse("An observation's member is negative, or beyond account_of.");
        if (cutoff[i] < -most || cutoff[i] > most) {
            PyErr_SetString(PyExc_OverflowError, "A cutoff is too large for the native kernel.");
            return -1;
        }
    }
    if (job->account_of == NULL)
        return 0;
    for (int64_t i = 0; i < job->log->n; i++)
        if (job->log->actor[i] >= job->n_account_of)
            return refuse("The log holds members beyond account_of.");
    int64_t largest = -1;
    for (int64_t i = 0; i < job->n_account_of; i++)
        largest = job->account_of[i] > largest ? job->account_of[i] : largest;
    if (largest / 8 > job->n_account_of + (1 << 20)) {
        PyErr_SetString(PyExc_OverflowError, "Codes of accounts are too sparse for the native kernel.");
        return -1;
    }
    return 0;
}

/* What this log and call give, in the bits of NEEDS_*. */
static int64_t have_of(const Job *job)
{
    const Log *log = job->log;
    int64_t have = NEEDS_OTHER * (log->other != NULL) | NEEDS_DURATION * (log->duration != NULL) |
                   NEEDS_FILLED * (log->filled != NULL) | NEEDS_ACCOUNT * (job->account_of != NULL) |
                   NEEDS_JOINED * (job->joined != NULL) | (int64_t)(log->same_domain != NULL) << SAME_DOMAIN;
    for (int a = TAG; a <= FIELD; a++)
        have |= (int64_t)(log->code[a] != NULL) << a;
    return have;
}

/* Copy and check what happened before the log: the walk reads tables at its counts. */
static int hold_start(Job *job, PyObject *object)
{
    static const char *const names[4] = {"count", "last", "filled", "duration"};
    static const char kinds[4] = {'i', 'i', '?', 'i'};
    const int64_t cells = job->program->h.n_cells, sums = job->program->h.n_sums;
    const int64_t items[4] = {cells, cells, cells, sums}, size[4] = {4, 8, 1, 8};
    if (object == Py_None)
        return 0;
    Start *start = &job->folded;
    PyObject *array[4];
    long long scalar[6];
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "A start is a tuple.");
        return -1;
    }
    if (!PyArg_ParseTuple(object, "OOOO(LLLLLL)", &array[0], &array[1], &array[2], &array[3], &scalar[0], &scalar[1], &scalar[2],
                          &scalar[3], &scalar[4], &scalar[5]))
        return -1;
    char *at = job->folded_memory = malloc((size_t)(cells + sums + 1) * 8 + (size_t)(cells + 1) * 5);
    if (at == NULL) {
        no_memory();
        return -1;
    }
    /* Widest items first, so that each begins where its type may. */
    char *place[4] = {at + (cells + sums) * 8, at, at + (cells + sums) * 8 + cells * 4, at + cells * 8};
    for (int i = 0; i < 4; i++) {
        Py_buffer view;
        if (native_view(array[i], &view, names[i], kinds[i], (Py_ssize_t)size[i], (Py_ssize_t)items[i], 0) < 0)
            return -1;
        memcpy(place[i], view.buf, (size_t)view.len);
        PyBuffer_Release(&view);
    }
    start->rows = scalar[0];
    start->count = (const int32_t *)(void *)place[0];
    start->last = (const int64_t *)(void *)place[1];
    start->filled = (const uint8_t *)place[2];
    start->duration = (const int64_t *)(void *)place[3];
    start->first[GIVEN] = scalar[1];
    start->first[RECEIVED] = scalar[2];
    start->newest = scalar[3];
    start->newest_duration = scalar[4];
    start->visit = scalar[5];
    if (start->rows < 0 || start->rows > INT32_MAX - job->index->largest) {
        PyErr_SetString(PyExc_OverflowError, "A member has too many rows for the native kernel.");
        return -1;
    }
    for (int64_t i = 0; i < cells; i++)
        if (start->count[i] < 0 || start->count[i] > start->rows)
            return refuse("A start counts more rows than it was made of.");
    job->start = start;
    return 0;
}

/* Arrays: entity, cutoff, joined, account_of, xlog, out, and the start. What the job is made of has to outlive it. */
Job *make_job(const Program *program, const Log *log, const Index *index, PyObject **o)
{
    void *buffer[6];
    int64_t length[6];
    Job *job = calloc(1, sizeof(Job));
    if (job == NULL)
        return no_memory();
    job->program = program;
    job->log = log;
    job->index = index;
    if (view_job(job, o[0], "entity", 'i', 8, -1, 0, &buffer[0], &length[0]) < 0 ||
        view_job(job, o[1], "cutoff", 'i', 8, length[0], 0, &buffer[1], &length[1]) < 0 ||
        view_job(job, o[2], "joined", 'i', 8, length[0], 0, &buffer[2], &length[2]) < 0 ||
        view_job(job, o[3], "account_of", 'i', 8, -1, 0, &buffer[3], &length[3]) < 0 ||
        view_job(job, o[4], "xlog", 'i', 8, -1, 0, &buffer[4], &length[4]) < 0)
        goto failed;
    if (length[0] >= INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "There are too many observations for the native kernel.");
        goto failed;
    }
    if (view_job(job, o[5], "out", 'f', 4, length[0] * job->program->n_columns, 1, &buffer[5], &length[5]) < 0)
        goto failed;
    if (buffer[0] == NULL || buffer[1] == NULL || buffer[4] == NULL || buffer[5] == NULL || length[4] < 1) {
        refuse("entity, cutoff, xlog and out have to be given.");
        goto failed;
    }
    job->rows = length[0];
    job->joined = buffer[2];
    job->account_of = buffer[3];
    job->n_account_of = length[3];
    job->xlog = buffer[4];
    job->n_xlog = length[4];
    job->out = buffer[5];
    job->far = job->rows * program->n_columns >= FAR_CELLS;
    if (have_of(job) != program->have) {
        refuse("The program was made for a log or a call with other columns.");
        goto failed;
    }
    if (hold_start(job, o[6]) < 0)
        goto failed;
    const int64_t most = job->index->largest + job->folded.rows;
    for (int64_t j = 0; j < job->program->n_columns; j++) {
        const Column *column = &job->program->column[j];
        /* A key counts a row once, so this bounds every sum that is kept in 32 bits. */
        if ((column->op == OP_DISTINCT || column->op == OP_ENTROPY) &&
            most > INT32_MAX / (column->to - column->from + 1)) {
            PyErr_SetString(PyExc_OverflowError, "A member has too many rows for the native kernel.");
            goto failed;
        }
    }
    atomic_init(&job->next, 0);
    atomic_init(&job->table, 0);
    if (check_observations(job, buffer[0], buffer[1]) < 0)
        goto failed;
    for (int64_t i = 1; job->start && i < job->rows; i++)
        if (((const int64_t *)buffer[0])[i] != ((const int64_t *)buffer[0])[0]) {
            refuse("With a start, all observations are of one member.");
            goto failed;
        }
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = sort_observations(job, buffer[0], buffer[1]) < 0 ||
             (job->account_of && job->program->asks_peers && prepare_accounts(job) < 0);
    Py_END_ALLOW_THREADS
    if (!failed)
        return job;
    no_memory();
failed:
    release_job(job);
    return NULL;
}

