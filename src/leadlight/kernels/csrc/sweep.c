/* The sweep's functions for Python: they check everything that the loops rely on, then run without the GIL. */
#include "sweep.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM_NAME "leadlight.program"
#define LOG_NAME "leadlight.log"
#define INDEX_NAME "leadlight.index"
#define JOB_NAME "leadlight.job"
#define SCRATCH_NAME "leadlight.scratch"

static void *content(PyObject *capsule, const char *name) { return PyCapsule_GetPointer(capsule, name); }

static PyObject *wrap(void *object, const char *name, void (*release)(PyObject *))
{
    return PyCapsule_New(object, name, release);
}

static int refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

static PyObject *no_memory(void) { return PyErr_NoMemory(); }

/* ---- program ---------------------------------------------------------------------------------------------------- */

static void release_program(Program *p)
{
    free(p->memory);
    free(p->reads);
    free(p);
}

static void free_program(PyObject *capsule)
{
    release_program(content(capsule, PROGRAM_NAME));
}

static int in_range(const int32_t *values, int64_t n, int64_t low, int64_t high)
{
    for (int64_t i = 0; i < n; i++)
        if (values[i] < low || values[i] >= high)
            return 0;
    return 1;
}

static int ascending(const int32_t *values, int64_t n, int64_t last)
{
    if (n < 1 || values[0] != 0 || values[n - 1] != last)
        return 0;
    for (int64_t i = 1; i < n; i++)
        if (values[i] < values[i - 1])
            return 0;
    return 1;
}

static int check_header(const Program *p)
{
    const Header *h = &p->h;
    if (h->n_cells < 0 || h->n_cells > UINT16_MAX || h->visits < -1 || h->visits >= h->n_cells)
        return refuse("The program has too many keys.");
    if (h->n_sums < 0 || h->n_sums > h->n_cells || h->n_peers < 0 || h->n_peers > UINT16_MAX || h->n_slots < 0 ||
        h->n_slots > INT32_MAX || h->n_actions < 0 || h->n_actions > UINT16_MAX)
        return refuse("The program's header is not sound.");
    for (int a = 0; a < ATTRIBUTES; a++)
        if (h->values[a] < 0 || h->values[a] > UINT16_MAX)
            return refuse("The program has too many values of an attribute.");
    if (p->n_lanes > MAX_LANES)
        return refuse("The program has too many windows.");
    for (int64_t w = 0; w < p->n_lanes; w++)
        if (p->lane[w] <= (w ? p->lane[w - 1] : 0) || (p->lane[w] > (int64_t)1 << 61 && p->lane[w] != INT64_MAX))
            return refuse("The program's windows are not sound.");
    return 0;
}

static int check_column(const Program *p, const Column *c)
{
    const Header *h = &p->h;
    int64_t keys = c->to - c->from, lanes = p->n_lanes > 0 ? p->n_lanes : 1;
    if (c->op < 0 || c->op >= OPERATIONS || c->lane < 0 || c->lane >= lanes || c->other_lane < 0 || c->other_lane >= lanes)
        return refuse("A column of the program is not sound.");
    if (c->from < 0 || keys < 0 || c->to > p->n_keys || c->split < 0 || c->split > keys + 1)
        return refuse("A column of the program refers to keys that are not there.");
    const int32_t *key = p->key + c->from;
    int64_t limit = c->op == OP_SUM_DURATION ? h->n_sums : h->n_cells;
    if (!in_range(key, keys, 0, limit))
        return refuse("A column of the program refers to cells that are not there.");
    int64_t least = c->op == OP_CELL || c->op == OP_SUM_DURATION || c->op == OP_RECENCY || c->op == OP_COMPLETENESS;
    if (keys < least || (p->n_lanes == 0 && c->op != OP_MISSING && c->op != OP_TENURE && c->op != OP_RECENCY &&
                         c->op != OP_LAST_VISIT && c->op != OP_COMPLETENESS))
        return refuse("A column of the program lacks keys or windows.");
    if (c->op == OP_RATIO && c->split > keys)
        return refuse("A column of the program splits its keys out of bounds.");
    if (c->op == OP_VISITS_PER_MONTH && h->visits < 0)
        return refuse("The program counts no visits.");
    if (c->op == OP_PEERS && (c->to + keys > p->n_keys || !in_range(key + keys, keys, 0, h->n_slots)))
        return refuse("A column of the program refers to slots that are not there.");
    return 0;
}

static int check_tables(Program *p, const Py_ssize_t *length)
{
    const Header *h = &p->h;
    if (length[4] != h->n_cells)
        return refuse("The program's sums do not fit its keys.");
    for (int64_t i = 0; i < h->n_cells; i++)
        if (p->sum_of[i] < -1 || p->sum_of[i] >= h->n_sums)
            return refuse("The program's sums are out of range.");
    if (length[5] != h->n_peers + 1 || length[6] != length[7] || !ascending(p->peer_from, length[5], length[6]) ||
        !in_range(p->peer_lane, length[6], 0, p->n_lanes) || !in_range(p->peer_slot, length[7], 0, h->n_slots))
        return refuse("The program's accounts are not sound.");
    for (int a = 0; a < ATTRIBUTES; a++) {
        int64_t block = (h->n_actions + 1) * h->values[a];
        if (length[8 + 2 * a] != SIDES * block + 1 || !ascending(p->emit_from[a], length[8 + 2 * a], length[9 + 2 * a]))
            return refuse("The program's keys are not sound.");
        for (int64_t i = 0; i < SIDES * block; i++) {
            int32_t from = p->emit_from[a][i], to = p->emit_from[a][i + 1];
            int64_t side = i / block;
            for (int32_t j = from; j < to; j++)
                if (p->emit_key[a][j] >= (side == ACCOUNT ? h->n_peers : h->n_cells))
                    return refuse("The program emits keys that are not there.");
            p->most[a] = to - from > p->most[a] ? to - from : p->most[a];
            if (to > from && a != BASE)
                p->reads[i / h->values[a]] |= (uint8_t)(1 << a);
            for (int32_t j = from; j < to && side != ACCOUNT; j++)
                p->reads[i / h->values[a]] |= p->of_completeness[p->emit_key[a][j]];
        }
    }
    p->room = 2 * INLINE_KEYS;
    for (int a = 0; a < ATTRIBUTES; a++)
        p->room += p->most[a] * (a == TAG ? FEW_TAGS : 1) + SLACK;
    for (int64_t i = 0; i < p->n_action_of; i++)
        if (p->action_of[i] > h->n_actions)
            return refuse("The program names actions that are not there.");
    for (int a = TAG; a <= FIELD; a++)
        for (int64_t i = 0; i < p->n_value_of[a]; i++)
            if (p->value_of[a][i] > h->values[a])
                return refuse("The program names values that are not there.");
    return 0;
}

/* Room for `reads`, and the cells that columns of completeness ask for. */
static int make_reads(Program *p)
{
    p->reads = calloc((size_t)(SIDES * (p->h.n_actions + 1) + p->h.n_cells), 1);
    if (p->reads == NULL) {
        no_memory();
        return -1;
    }
    p->of_completeness = p->reads + SIDES * (p->h.n_actions + 1);
    for (int64_t j = 0; j < p->n_columns; j++)
        if (p->column[j].op == OP_COMPLETENESS)
            for (int64_t i = p->column[j].from; i < p->column[j].to; i++)
                p->of_completeness[p->key[i]] = 1;
    return 0;
}

/* Kind and size of the parts of a program, in the order of program.py; 'H' is an unsigned number of two bytes. */
static const char PARTS[] = "qqqihiiiiHiHiHiHiHiHiHHHHHHH";
#define N_PARTS 28

static PyObject *new_program(PyObject *module, PyObject *parts)
{
    (void)module;
    Py_buffer view[N_PARTS];
    Py_ssize_t length[N_PARTS], total = 0;
    int n = 0;
    char *at = NULL;
    Program *p = NULL;
    if (!PyTuple_Check(parts) || PyTuple_Size(parts) != N_PARTS) {
        refuse("A program has 28 parts.");
        return NULL;
    }
    for (; n < N_PARTS; n++) {
        char kind = PARTS[n];
        Py_ssize_t size = kind == 'q' ? 8 : kind == 'i' ? 4 : 2;
        if (native_view(PyTuple_GetItem(parts, n), &view[n], "A part of the program", kind == 'H' ? 'u' : 'i', size, -1, 0) < 0)
            goto done;
        length[n] = view[n].len / size;
        total += (view[n].len + 15) / 8 * 8;
    }
    p = calloc(1, sizeof(Program));
    at = malloc((size_t)total + 8 + SLACK * sizeof(uint16_t));
    if (p == NULL || at == NULL || (size_t)view[0].len != sizeof(Header) || (size_t)view[2].len % sizeof(Column)) {
        if (p == NULL || at == NULL)
            no_memory();
        else
            refuse("The program's header or columns have another length.");
        free(p);
        free(at);
        p = NULL;
        goto done;
    }
    p->memory = at;
    const void *copy[N_PARTS];
    for (int i = 0; i < N_PARTS; i++) {
        memcpy(at, view[i].buf, (size_t)view[i].len);
        copy[i] = at;
        at += (view[i].len + 15) / 8 * 8;
    }
    memcpy(&p->h, copy[0], sizeof(Header));
    p->lane = copy[1];
    p->n_lanes = length[1];
    p->column = copy[2];
    p->n_columns = length[2] / (Py_ssize_t)(sizeof(Column) / 8);
    p->key = copy[3];
    p->n_keys = length[3];
    p->sum_of = copy[4];
    p->peer_from = copy[5];
    p->peer_lane = copy[6];
    p->peer_slot = copy[7];
    for (int a = 0; a < ATTRIBUTES; a++) {
        p->emit_from[a] = copy[8 + 2 * a];
        p->emit_key[a] = copy[9 + 2 * a];
    }
    p->action_of = copy[22];
    p->n_action_of = length[22];
    for (int a = TAG; a <= FIELD; a++) {
        p->value_of[a] = copy[22 + a];
        p->n_value_of[a] = length[22 + a];
    }
    int sound = check_header(p) == 0;
    for (int64_t j = 0; sound && j < p->n_columns; j++)
        sound = check_column(p, &p->column[j]) == 0;
    sound = sound && make_reads(p) == 0 && check_tables(p, length) == 0;
    if (!sound) {
        release_program(p);
        p = NULL;
        goto done;
    }
    for (int64_t w = 0; w < p->n_lanes; w++)
        p->n_finite += p->lane[w] != INT64_MAX;
    for (Py_ssize_t j = 0; j < length[6]; j++)
        p->widest = p->lane[p->peer_lane[j]] > p->widest ? p->lane[p->peer_lane[j]] : p->widest;
    for (int64_t j = 0; j < p->n_columns; j++)
        p->asks_peers |= p->column[j].op == OP_PEERS;
done:
    while (n-- > 0)
        PyBuffer_Release(&view[n]);
    if (p == NULL)
        return NULL;
    PyObject *made = wrap(p, PROGRAM_NAME, free_program);
    if (made == NULL)
        release_program(p);
    return made;
}

/* ---- log -------------------------------------------------------------------------------------------------------- */

static void release_log(Log *log)
{
    while (log->n_views > 0)
        PyBuffer_Release(&log->view[--log->n_views]);
    free(log);
}

static void free_log(PyObject *capsule) { release_log(content(capsule, LOG_NAME)); }

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
static PyObject *new_log(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *o[14];
    long long entries[6];
    if (!PyArg_ParseTuple(arguments, "(OOOOOOOOOOOOOO)(LLLLLL)", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7], &o[8],
                          &o[9], &o[10], &o[11], &o[12], &o[13], &entries[0], &entries[1], &entries[2], &entries[3],
                          &entries[4], &entries[5]))
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
    if (check_log(log, entries) < 0)
        goto failed;
    PyObject *made = wrap(log, LOG_NAME, free_log);
    if (made)
        return made;
failed:
    release_log(log);
    return NULL;
}

static PyObject *log_facts(PyObject *module, PyObject *capsule)
{
    (void)module;
    const Log *log = content(capsule, LOG_NAME);
    if (log == NULL)
        return NULL;
    return Py_BuildValue("LLL", (long long)log->n, (long long)log->largest, (long long)log->earliest);
}

/* ---- index ------------------------------------------------------------------------------------------------------ */

static void release_index(Index *x)
{
    free(x->count);
    free(x->first);
    free(x->from);
    free(x->entry);
    free(x);
}

static void free_index(PyObject *capsule) { release_index(content(capsule, INDEX_NAME)); }

static PyObject *new_index(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule;
    int received, failed;
    if (!PyArg_ParseTuple(arguments, "Op", &capsule, &received))
        return NULL;
    const Log *log = content(capsule, LOG_NAME);
    if (log == NULL)
        return NULL;
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
    PyObject *made = failed ? no_memory() : wrap(x, INDEX_NAME, free_index);
    if (made == NULL)
        release_index(x);
    return made;
}

/* ---- job -------------------------------------------------------------------------------------------------------- */

static void release_job(Job *job)
{
    while (job->n_views > 0)
        PyBuffer_Release(&job->view[--job->n_views]);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(job->owner[i]);
    free(job->row);
    free(job->cutoff);
    free(job->entity);
    free(job->entity_from);
    free(job->accounts.from);
    free(job->accounts.cutoff);
    free(job->accounts.count);
    free(job->source);
    free(job->pair);
    free((void *)job->other);
    free(job->lacking);
    free(job->family);
    free(job->folded_memory);
    free(job);
}

static void free_job(PyObject *capsule) { release_job(content(capsule, JOB_NAME)); }

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

/* The number of the list of keys of a column; columns over the same keys share what is summed over them. */
static int64_t family_of(Job *job, const Column *c)
{
    const Program *p = job->program;
    const size_t bytes = (size_t)(c->to - c->from) * sizeof(int32_t);
    for (int64_t f = 0; f < job->n_families; f++)
        if (job->family_to[f] - job->family_from[f] == c->to - c->from &&
            memcmp(p->key + job->family_from[f], p->key + c->from, bytes) == 0)
            return f;
    job->family_from[job->n_families] = c->from;
    job->family_to[job->n_families] = c->to;
    return job->n_families++;
}

/* Which columns are cells, which are computed, which this log and call cannot give. */
static int prepare_columns(Job *job)
{
    const Program *p = job->program;
    const Log *log = job->log;
    int64_t have = NEEDS_OTHER * (log->other != NULL) | NEEDS_DURATION * (log->duration != NULL) |
                   NEEDS_FILLED * (log->filled != NULL) | NEEDS_ACCOUNT * (job->account_of != NULL) |
                   NEEDS_JOINED * (job->joined != NULL) | (int64_t)(log->same_domain != NULL) << SAME_DOMAIN;
    for (int a = TAG; a <= FIELD; a++)
        have |= (int64_t)(log->code[a] != NULL) << a;
    int width = sweep_width(p);
    job->source = malloc((size_t)(p->n_columns + 1) * sizeof(int32_t));
    job->other = malloc((size_t)(p->n_columns + 1) * sizeof(Column *));
    job->lacking = calloc((size_t)(p->n_columns + 1), 1);
    job->family = malloc((size_t)(p->n_columns + 1) * 3 * sizeof(int64_t));
    job->pair = malloc((size_t)(p->n_columns + 1) * sizeof(Pair));
    if (job->source == NULL || job->pair == NULL || job->other == NULL || job->lacking == NULL || job->family == NULL)
        return -1;
    job->family_from = job->family + p->n_columns + 1;
    job->family_to = job->family_from + p->n_columns + 1;
    for (int64_t j = 0; j < p->n_columns; j++) {
        const Column *c = &p->column[j];
        int lacks = (c->needs & ~have) != 0;
        job->lacking[j] = (uint8_t)lacks;
        job->source[j] = (int32_t)(p->h.n_cells * width); /* the row that stays zero */
        if (!lacks && c->op == OP_CELL)
            job->source[j] = (int32_t)(p->key[c->from] * width + c->lane);
        else if (!lacks && c->op == OP_COUNT && c->to - c->from == 2)
            job->pair[job->n_pairs++] = (Pair){(int32_t)j, (int32_t)(p->key[c->from] * width + c->lane),
                                               (int32_t)(p->key[c->from + 1] * width + c->lane)};
        else {
            job->family[job->n_other] = lacks || (c->op != OP_DISTINCT && c->op != OP_ENTROPY) ? -1 : family_of(job, c);
            job->other[job->n_other++] = c;
        }
    }
    return 0;
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

static PyObject *new_job(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *o[10];
    void *buffer[6];
    int64_t length[6];
    if (!PyArg_ParseTuple(arguments, "OOOOOOOOOO", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7], &o[8],
                          &o[9]))
        return NULL;
    Job *job = calloc(1, sizeof(Job));
    if (job == NULL)
        return no_memory();
    job->program = content(o[0], PROGRAM_NAME);
    job->log = job->program ? content(o[1], LOG_NAME) : NULL;
    job->index = job->log ? content(o[2], INDEX_NAME) : NULL;
    if (job->index == NULL)
        goto failed;
    for (int i = 0; i < 3; i++) {
        Py_INCREF(o[i]);
        job->owner[i] = o[i];
    }
    if (view_job(job, o[3], "entity", 'i', 8, -1, 0, &buffer[0], &length[0]) < 0 ||
        view_job(job, o[4], "cutoff", 'i', 8, length[0], 0, &buffer[1], &length[1]) < 0 ||
        view_job(job, o[5], "joined", 'i', 8, length[0], 0, &buffer[2], &length[2]) < 0 ||
        view_job(job, o[6], "account_of", 'i', 8, -1, 0, &buffer[3], &length[3]) < 0 ||
        view_job(job, o[7], "xlog", 'i', 8, -1, 0, &buffer[4], &length[4]) < 0)
        goto failed;
    if (length[0] >= INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "There are too many observations for the native kernel.");
        goto failed;
    }
    if (view_job(job, o[8], "out", 'f', 4, length[0] * job->program->n_columns, 1, &buffer[5], &length[5]) < 0)
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
    if (hold_start(job, o[9]) < 0)
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
    failed = sort_observations(job, buffer[0], buffer[1]) < 0 || prepare_columns(job) < 0 ||
             (job->account_of && job->program->asks_peers && prepare_accounts(job) < 0);
    Py_END_ALLOW_THREADS
    if (failed) {
        no_memory();
        goto failed;
    }
    PyObject *made = wrap(job, JOB_NAME, free_job);
    if (made)
        return made;
failed:
    release_job(job);
    return NULL;
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

static void release_scratch(Scratch *s)
{
    free(s->event);
    free(s->visible);
    free(s->more);
    free(s->emitted);
    free(s->slot);
    free(s->slot_of);
    free(s->spare);
    free(s->spare_visible);
    free(s->hidden);
    free(s->state);
    free(s->shared);
    free(s);
}

static void free_scratch(PyObject *capsule) { release_scratch(content(capsule, SCRATCH_NAME)); }

static PyObject *new_scratch(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    Scratch *s = calloc(1, sizeof(Scratch));
    if (s == NULL)
        return no_memory();
    PyObject *made = wrap(s, SCRATCH_NAME, free_scratch);
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

PyMethodDef sweep_methods[] = {
    {"new_program", new_program, METH_O, "Check and copy the parts of a compiled plan."},
    {"new_log", new_log, METH_VARARGS, "Check and hold the arrays of a log."},
    {"log_facts", log_facts, METH_O, "Rows, largest code of a member, earliest time."},
    {"new_index", new_index, METH_VARARGS, "Group the rows of a log by ranges of members."},
    {"new_job", new_job, METH_VARARGS, "Check and sort the observations of one sweep."},
    {"accounts", accounts, METH_VARARGS, "Count one part of the accounts of a job."},
    {"new_scratch", new_scratch, METH_NOARGS, "Memory for the steps of one thread."},
    {"step", step, METH_VARARGS, "Sweep the next chunk of members; False when none is left."},
    {"table_wanted", table_wanted, METH_O, "Length that the table of x log2 x lacked, 0 if it was long enough."},
    {NULL, NULL, 0, NULL},
};
