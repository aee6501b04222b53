/* The sweep's functions for Python: capsules around programs, logs, indexes and jobs, and loops without the GIL. */
#include "sweep.h"

#include <stdlib.h>

#define PROGRAM_NAME "leadlight.program"
#define LOG_NAME "leadlight.log"
#define INDEX_NAME "leadlight.index"
#define JOB_NAME "leadlight.job"
#define SCRATCH_NAME "leadlight.scratch"

static void *content(PyObject *capsule, const char *name) { return PyCapsule_GetPointer(capsule, name); }

static void free_program(PyObject *capsule) { release_program(content(capsule, PROGRAM_NAME)); }
static void free_log(PyObject *capsule) { release_log(content(capsule, LOG_NAME)); }
static void free_index(PyObject *capsule) { release_index(content(capsule, INDEX_NAME)); }
static void free_scratch(PyObject *capsule) { release_scratch(content(capsule, SCRATCH_NAME)); }

static PyObject *new_program(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *parts;
    long long have;
    if (!PyArg_ParseTuple(arguments, "OL", &parts, &have))
        return NULL;
    Program *p = make_program(parts, have);
    PyObject *made = p ? PyCapsule_New(p, PROGRAM_NAME, free_program) : NULL;
    if (p && made == NULL)
        release_program(p);
    return made;
}

static PyObject *new_log(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *arrays, *sizes;
    if (!PyArg_ParseTuple(arguments, "OO", &arrays, &sizes))
        return NULL;
    Log *log = make_log(arrays, sizes);
    PyObject *made = log ? PyCapsule_New(log, LOG_NAME, free_log) : NULL;
    if (log && made == NULL)
        release_log(log);
    return made;
}

static PyObject *log_facts(PyObject *module, PyObject *capsule)
{
    (void)module;
    const Log *log = content(capsule, LOG_NAME);
    if (log == NULL)
        return NULL;
    return Py_BuildValue("LLL", (long long)log->n, (long long)log->largest, (long long)log->earliest);
}

static PyObject *new_index(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule;
    int received;
    if (!PyArg_ParseTuple(arguments, "Op", &capsule, &received))
        return NULL;
    const Log *log = content(capsule, LOG_NAME);
    Index *x = log ? make_index(log, received) : NULL;
    PyObject *made = x ? PyCapsule_New(x, INDEX_NAME, free_index) : NULL;
    if (x && made == NULL)
        release_index(x);
    return made;
}

static void free_job(PyObject *capsule)
{
    Job *job = content(capsule, JOB_NAME);
    PyObject *owner[3] = {job->owner[0], job->owner[1], job->owner[2]};
    release_job(job);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(owner[i]);
}

static PyObject *new_job(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *o[10];
    if (!PyArg_ParseTuple(arguments, "OOOOOOOOOO", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7], &o[8], &o[9]))
        return NULL;
    const Program *p = content(o[0], PROGRAM_NAME);
    const Log *log = p ? content(o[1], LOG_NAME) : NULL;
    const Index *x = log ? content(o[2], INDEX_NAME) : NULL;
    Job *job = x ? make_job(p, log, x, o + 3) : NULL;
    if (job == NULL)
        return NULL;
    PyObject *made = PyCapsule_New(job, JOB_NAME, free_job);
    if (made == NULL) {
        release_job(job);
        return NULL;
    }
    for (int i = 0; i < 3; i++) {
        Py_INCREF(o[i]);
        job->owner[i] = o[i];
    }
    return made;
}

static PyObject *accounts(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule;
    int part, parts, failed;
    if (!PyArg_ParseTuple(arguments, "Oii", &capsule, &part, &parts))
        return NULL;
    const Job *job = content(capsule, JOB_NAME);
    if (job == NULL)
        return NULL;
    if (parts < 1 || part < 0 || part >= parts) {
        refuse("There is no such part.");
        return NULL;
    }
    if (job->accounts.count == NULL)
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS
    failed = count_accounts(job, part, parts) < 0;
    Py_END_ALLOW_THREADS
    if (failed)
        return no_memory();
    Py_RETURN_NONE;
}

static PyObject *new_scratch(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    Scratch *s = calloc(1, sizeof(Scratch));
    if (s == NULL)
        return no_memory();
    PyObject *made = PyCapsule_New(s, SCRATCH_NAME, free_scratch);
    if (made == NULL)
        release_scratch(s);
    return made;
}

/* Sweep the next chunk of members that has observations; False when none is left. */
static PyObject *step(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *of_job, *of_scratch;
    int failed;
    long long chunk;
    if (!PyArg_ParseTuple(arguments, "OO", &of_job, &of_scratch))
        return NULL;
    Job *job = content(of_job, JOB_NAME);
    Scratch *s = job ? content(of_scratch, SCRATCH_NAME) : NULL;
    if (s == NULL)
        return NULL;
    chunk = atomic_fetch_add(&job->next, 1);
    if (chunk >= job->index->n_chunks)
        Py_RETURN_FALSE;
    Py_BEGIN_ALLOW_THREADS
    failed = sweep_chunk(job, chunk, s) < 0;
    Py_END_ALLOW_THREADS
    if (failed)
        return no_memory();
    Py_RETURN_TRUE;
}

static PyObject *table_wanted(PyObject *module, PyObject *capsule)
{
    (void)module;
    Job *job = content(capsule, JOB_NAME);
    return job ? PyLong_FromLongLong(atomic_load(&job->table)) : NULL;
}

/* Everything in one call, for a log so small that to remember what was made of it would cost more than to make it.
   Returns the length that the table of x log2 x lacked, as table_wanted; OverflowError where the log is beyond bounds. */
static PyObject *sweep_at_once(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *o[10], *made = NULL;
    int received, failed = 0;
    if (!PyArg_ParseTuple(arguments, "OOOpOOOOOOO", &o[0], &o[1], &o[2], &received, &o[3], &o[4], &o[5], &o[6], &o[7],
                          &o[8], &o[9]))
        return NULL;
    const Program *p = content(o[0], PROGRAM_NAME);
    Log *log = p ? make_log(o[1], o[2]) : NULL;
    Index *x = NULL;
    Job *job = NULL;
    Scratch s = {0};
    if (log && (log->largest / 16 > log->n + (1 << 20) || log->earliest == INT64_MIN)) {
        PyErr_SetString(PyExc_OverflowError, "The log is beyond the bounds of the native kernel.");
        goto done;
    }
    x = log ? make_index(log, received) : NULL;
    job = x ? make_job(p, log, x, o + 3) : NULL;
    if (job == NULL)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    failed = job->accounts.count && count_accounts(job, 0, 1) < 0;
    for (int64_t chunk = 0; !failed && chunk < x->n_chunks; chunk++)
        failed = sweep_chunk(job, chunk, &s) < 0;
    Py_END_ALLOW_THREADS
    made = failed ? no_memory() : PyLong_FromLongLong(atomic_load(&job->table));
done:
    clear_scratch(&s);
    if (job)
        release_job(job);
    if (x)
        release_index(x);
    if (log)
        release_log(log);
    return made;
}

PyMethodDef sweep_methods[] = {
    {"new_program", new_program, METH_VARARGS, "Check and copy the parts of a compiled plan, for what a log and a call give."},
    {"new_log", new_log, METH_VARARGS, "Check and hold the arrays of a log."},
    {"log_facts", log_facts, METH_O, "Rows, largest code of a member, earliest time."},
    {"new_index", new_index, METH_VARARGS, "Group the rows of a log by ranges of members."},
    {"new_job", new_job, METH_VARARGS, "Check and sort the observations of one sweep."},
    {"accounts", accounts, METH_VARARGS, "Count one part of the accounts of a job."},
    {"new_scratch", new_scratch, METH_NOARGS, "Memory for the steps of one thread."},
    {"step", step, METH_VARARGS, "Sweep the next chunk of members; False when none is left."},
    {"table_wanted", table_wanted, METH_O, "Length that the table of x log2 x lacked, 0 if it was long enough."},
    {"sweep_at_once", sweep_at_once, METH_VARARGS, "Log, index, job and steps of a small log in one call."},
    {NULL, NULL, 0, NULL},
};
