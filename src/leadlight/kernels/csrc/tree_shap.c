/* Exact path-dependent SHAP values by Gauss-Legendre quadrature; tree_shap.py has the formula.

   At a quadrature node t, a feature that agrees with the row all along the path gives the factor w + (1 - w) t, one that does
   not w (1 - t), where w is the product of the cover ratios at its splits. The pass down carries the product of all factors to
   every edge. The pass up sums leaves, and at each split gives its feature what the leaves below add to it: the sum times
   (1 - w) / (w + (1 - w) t), or -1 / (1 - t) where the feature disagrees. A split on a feature that was split on before
   takes the earlier share back. */
#include "trees.h"

#include <stdlib.h>
#include <string.h>

#define EXPLAINER_NAME "leadlight.explainer"
#define CLASSES 3    /* 4, 8 and 16 lanes */
#define MOST_PASSES 2 /* of 16 lanes each: 32 quadrature nodes, 64 features on a path */
#define ROWS_AT_ONCE 16
#define SHORT_WORK 4000 /* splits that are not worth giving up the GIL */

typedef struct {
    double number, value[2], weight[2], ratio[2]; /* value is 1 at an inner child */
    uint32_t slot, table;                         /* table: in vectors of the class */
    int32_t parent, earlier;                      /* edges: 0 the root, 2k + 1 and 2k + 2 below split k; earlier 0: none */
    int32_t column, at;
} Split;

typedef struct {
    int64_t from, n, rule;
} Pass;

typedef struct {
    Split *split;
    Pass *pass;
    double *table, *rule; /* rule: for each pass of a tree the masses, 1 - t and 1 / (1 - t) */
    int64_t n_passes, n_splits, n_vectors;
} Class;

typedef struct {
    PyObject *forest;
    int32_t *used; /* features that some tree splits on */
    int64_t n_used, most; /* most: splits of one tree */
    Class class[CLASSES];
} Explainer;

#define LANES 4
#include "tree_shap_lanes.h"
#define LANES 8
#include "tree_shap_lanes.h"
#define LANES 16
#include "tree_shap_lanes.h"

static const int64_t lanes_of[CLASSES] = {4, 8, 16};

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static void release(Explainer *e)
{
    if (e == NULL)
        return;
    for (int c = 0; c < CLASSES; c++) {
        free(e->class[c].split);
        free(e->class[c].pass);
        free(e->class[c].table);
        free(e->class[c].rule);
    }
    free(e->used);
    Py_XDECREF(e->forest);
    free(e);
}

static void free_explainer(PyObject *capsule) { release(PyCapsule_GetPointer(capsule, EXPLAINER_NAME)); }

/* What a tree's tables are made in. Arrays of edges have two entries a split, and the root's. */
typedef struct {
    const Forest *f;
    const int32_t *slot_column;
    const double *inner_count, *leaf_count;
    double *expected; /* of each leaf: its value times the share of rows that reach it */
    Split *split;
    int64_t n;
    int32_t *stack, *last; /* last: the deepest edge of each feature on the path, 0: none */
    uint8_t *stage;
    int64_t *unique; /* features on the path to a split, with its own */
    double *reached, *weight;
} Draft;

static double count_of(const Draft *d, int32_t at)
{
    int32_t link = d->f->source[at];
    return link >= 0 ? d->inner_count[link] : d->leaf_count[~link];
}

/* Enter an inner node by `parent`, an edge. */
static void begin(Draft *d, int32_t at, int32_t parent)
{
    const Node *node = d->f->node + at;
    Split *s = d->split + d->n;
    int32_t column = d->slot_column[node->slot & ~CATEGORY], k = (int32_t)d->n++;
    *s = (Split){.number = node->number, .slot = node->slot, .parent = parent, .column = column, .at = at};
    s->earlier = d->last[column];
    d->unique[k] = (parent ? d->unique[(parent - 1) / 2] : 0) + (s->earlier == 0);
    for (int side = 0; side < 2; side++) {
        int32_t child = node->next + side, link = d->f->source[child], edge = 2 * k + 1 + side;
        s->ratio[side] = count_of(d, child) / count_of(d, at);
        s->weight[side] = d->weight[edge] = d->weight[s->earlier] * s->ratio[side];
        d->reached[edge] = d->reached[parent] * s->ratio[side];
        s->value[side] = link < 0 ? d->f->leaf_value[~link] : 1.0;
        if (link < 0)
            d->expected[~link] = d->f->leaf_value[~link] * d->reached[edge];
    }
}

/* Draft the splits of a tree, parents first; return the largest number of features on a path. */
static int64_t draft(Draft *d, const Tree *tree)
{
    const Forest *f = d->f;
    int64_t depth = 0, most = 0;
    d->n = 0;
    d->weight[0] = d->reached[0] = 1.0;
    if (f->source[tree->start] < 0) {
        d->expected[~f->source[tree->start]] = f->node[tree->start].number;
        return 0;
    }
    begin(d, tree->start, 0);
    d->stack[0] = 0;
    d->stage[0] = 0;
    while (depth >= 0) {
        int32_t k = d->stack[depth];
        const Split *s = d->split + k;
        most = d->unique[k] > most ? d->unique[k] : most;
        if (d->stage[depth] == 2) {
            d->last[s->column] = s->earlier;
            depth--;
            continue;
        }
        int32_t side = d->stage[depth]++, child = f->node[s->at].next + side, edge = 2 * k + 1 + side;
        d->last[s->column] = edge;
        if (f->source[child] < 0)
            continue;
        d->stack[++depth] = (int32_t)d->n;
        d->stage[depth] = 0;
        begin(d, child, edge);
    }
    return most;
}

/* Add room for `extra` more items of `size` bytes to an array that holds `n`; it doubles. */
static int reserve(void *array, int64_t n, int64_t extra, size_t size)
{
    int64_t had = 0, wanted = 64;
    while (had < n)
        had = had ? 2 * had : 64;
    while (wanted < n + extra)
        wanted *= 2;
    if (wanted == had)
        return 0;
    void *grown = realloc(*(void **)array, (size_t)wanted * size);
    if (grown == NULL)
        return -1;
    *(void **)array = grown;
    return 0;
}

/* Tabulate the factors of the drafted tree at `lanes` nodes `at` and keep the splits as one pass. */
static int keep_pass(Class *c, const Draft *d, const double *at, int64_t lanes, int64_t rule)
{
    if (reserve(&c->split, c->n_splits, d->n, sizeof(Split)) || reserve(&c->pass, c->n_passes, 1, sizeof(Pass)) ||
        reserve(&c->table, c->n_vectors, 6 * d->n, sizeof(double) * (size_t)lanes))
        return -1;
    if (c->n_vectors + 6 * d->n >= UINT32_MAX)
        return -1;
    c->pass[c->n_passes++] = (Pass){c->n_splits, d->n, rule};
    for (int64_t k = 0; k < d->n; k++) {
        Split *s = c->split + c->n_splits++;
        *s = d->split[k];
        s->table = (uint32_t)c->n_vectors;
        double *t = c->table + c->n_vectors * lanes, w = d->weight[s->earlier];
        for (int64_t q = 0; q < lanes; q++) {
            double before = s->earlier ? w + (1.0 - w) * at[q] : 1.0;
            for (int side = 0; side < 2; side++) {
                double factor = s->weight[side] + (1.0 - s->weight[side]) * at[q];
                t[2 * side * lanes + q] = factor / before;
                t[(2 * side + 1) * lanes + q] = (1.0 - s->weight[side]) / factor;
            }
            if (s->earlier) {
                t[4 * lanes + q] = (1.0 - at[q]) / before;
                t[5 * lanes + q] = (1.0 - w) / before;
            }
        }
        c->n_vectors += s->earlier ? 6 : 4;
    }
    return 0;
}

/* The rules are those of 4, 8, 16 and 32 nodes, one after the other. */
static int make_rules(Explainer *e, const double *at, const double *mass)
{
    for (int c = 0; c < CLASSES; c++) {
        int64_t lanes = lanes_of[c], start = lanes - 4, rules = c == CLASSES - 1 ? 1 + MOST_PASSES : 1;
        double *rule = e->class[c].rule = malloc(sizeof(double) * (size_t)(3 * lanes * rules));
        if (rule == NULL)
            return -1;
        for (int64_t j = 0; j < rules; j++)
            for (int64_t q = 0; q < lanes; q++) {
                int64_t i = start + j * lanes + q;
                rule[(3 * j) * lanes + q] = mass[i];
                rule[(3 * j + 1) * lanes + q] = 1.0 - at[i];
                rule[(3 * j + 2) * lanes + q] = 1.0 / (1.0 - at[i]);
            }
    }
    return 0;
}

#define NODES (4 + 8 + 16 + 16 * MOST_PASSES)

/* 0, -1 out of memory, 1 a path is too long. */
static int make_tables(Explainer *e, Draft *d, const double *at, const double *mass)
{
    if (make_rules(e, at, mass))
        return -1;
    for (int64_t t = 0; t < d->f->n_trees; t++) {
        int64_t unique = draft(d, d->f->tree + t);
        if (d->n == 0)
            continue;
        e->most = d->n > e->most ? d->n : e->most;
        int failed;
        if (unique <= 8)
            failed = keep_pass(e->class, d, at, 4, 0);
        else if (unique <= 16)
            failed = keep_pass(e->class + 1, d, at + 4, 8, 0);
        else if (unique <= 32)
            failed = keep_pass(e->class + 2, d, at + 12, 16, 0);
        else if (unique <= 32 * MOST_PASSES) {
            failed = 0;
            for (int64_t i = 0; i < MOST_PASSES && !failed; i++)
                failed = keep_pass(e->class + 2, d, at + 28 + 16 * i, 16, 1 + i);
        } else
            return 1;
        if (failed)
            return -1;
    }
    return 0;
}

static int tabulate(Explainer *e, const Forest *f, const Py_buffer *view)
{
    int64_t largest = 1;
    for (int64_t t = 0; t < f->n_trees; t++)
        if (f->tree[t].end - f->tree[t].start > largest)
            largest = f->tree[t].end - f->tree[t].start;
    size_t n = (size_t)largest + 2;
    Draft d = {.f = f,
               .slot_column = view[1].buf,
               .inner_count = view[2].buf,
               .leaf_count = view[3].buf,
               .expected = view[6].buf};
    d.split = malloc(n * sizeof(Split));
    d.stack = malloc(n * sizeof(int32_t));
    d.last = calloc((size_t)e->n_used + 1, sizeof(int32_t));
    d.stage = malloc(n);
    d.unique = malloc(n * sizeof(int64_t));
    d.reached = malloc(n * sizeof(double));
    d.weight = malloc(n * sizeof(double));
    int failed = -1;
    if (d.split && d.stack && d.last && d.stage && d.unique && d.reached && d.weight)
        failed = make_tables(e, &d, view[4].buf, view[5].buf);
    free(d.split);
    free(d.stack);
    free(d.last);
    free(d.stage);
    free(d.unique);
    free(d.reached);
    free(d.weight);
    return failed;
}

#define EXPLAINER_VIEWS 7

/* Return (explainer, or None where a path is too long). */
static PyObject *new_explainer(PyObject *self, PyObject *args)
{
    (void)self;
    static const char *const names[EXPLAINER_VIEWS] = {"used", "slot_column", "internal_count", "leaf_count",
                                                       "at",   "mass",        "expected"};
    PyObject *capsule, *array[EXPLAINER_VIEWS], *result = NULL;
    Py_buffer view[EXPLAINER_VIEWS];
    int open = 0;
    if (!PyArg_ParseTuple(args, "OOOOOOOO", &capsule, array, array + 1, array + 2, array + 3, array + 4, array + 5, array + 6))
        return NULL;
    const Forest *f = forest_of(capsule);
    if (f == NULL)
        return NULL;
    Explainer *e = calloc(1, sizeof *e);
    if (e == NULL)
        return PyErr_NoMemory();
    const int64_t items[EXPLAINER_VIEWS] = {-1, f->n_slots, f->n_nodes - f->n_leaves, f->n_leaves, NODES, NODES, f->n_leaves};
    for (; open < EXPLAINER_VIEWS; open++)
        if (native_view(array[open], view + open, names[open], open < 2 ? 'i' : 'f', open < 2 ? 4 : 8, items[open],
                        open == 6) < 0)
            goto done;
    e->n_used = view[0].len / 4;
    const int32_t *used = view[0].buf, *column = view[1].buf;
    for (int64_t j = 0; j < e->n_used; j++)
        if (used[j] < 0 || used[j] >= f->n_features) {
            PyErr_SetString(PyExc_ValueError, "a feature is out of bounds");
            goto done;
        }
    for (int64_t s = 0; s < f->n_slots; s++)
        if (column[s] < 0 || column[s] >= e->n_used) {
            PyErr_SetString(PyExc_ValueError, "a column is out of bounds");
            goto done;
        }
    e->used = malloc((size_t)view[0].len + 4);
    int failed = e->used == NULL ? -1 : 0;
    if (!failed) {
        memcpy(e->used, used, (size_t)view[0].len);
        failed = tabulate(e, f, view);
    }
    if (failed < 0) {
        PyErr_NoMemory();
    } else if (failed) {
        Py_INCREF(Py_None);
        result = Py_None;
    } else {
        Py_INCREF(capsule);
        e->forest = capsule;
        result = PyCapsule_New(e, EXPLAINER_NAME, free_explainer);
        e = result == NULL ? e : NULL;
    }
done:
    while (open--)
        PyBuffer_Release(view + open);
    release(e);
    return result;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

typedef struct {
    double *cells, *scratch, *sums, *phi;
    uint8_t *agrees, *taken;
    void *memory;
} Room;

static int make_room(Room *room, const Explainer *e, const Forest *f, int64_t rows)
{
    int64_t cells = rows * (f->n_slots + 1), scratch = 16 * (2 * e->most + 1), sums = rows * e->n_used * 16;
    int64_t doubles = cells + scratch + sums + rows * e->n_used + 16;
    room->memory = malloc(sizeof(double) * (size_t)doubles + (size_t)(3 * e->most + 2));
    if (room->memory == NULL)
        return -1;
    uintptr_t start = ((uintptr_t)room->memory + 63) & ~(uintptr_t)63; /* vectors then lie in whole cache lines */
    room->sums = (double *)start;
    room->scratch = room->sums + sums;
    room->cells = room->scratch + scratch;
    room->phi = room->cells + cells;
    room->agrees = (uint8_t *)((double *)room->memory + doubles);
    room->taken = room->agrees + 2 * e->most + 1;
    return 0;
}

static void explain_block(const Explainer *e, const Forest *f, const Room *m, const double *x, int64_t rows, double *out)
{
    int64_t n = rows * e->n_used;
    for (int64_t r = 0; r < rows; r++)
        expand(f, x + r * f->n_features, 1, m->cells + r * (f->n_slots + 1), 1);
    memset(m->phi, 0, sizeof(double) * (size_t)n);
    for (int c = 0; c < CLASSES; c++) {
        const Class *class = e->class + c;
        if (class->n_passes == 0)
            continue;
        memset(m->sums, 0, sizeof(double) * (size_t)(n * lanes_of[c]));
        switch (c) {
        case 0:
            explain_rows_4(e, f, class, m->cells, rows, m->scratch, m->agrees, m->taken, m->sums);
            add_lanes_4(n, m->sums, m->phi);
            break;
        case 1:
            explain_rows_8(e, f, class, m->cells, rows, m->scratch, m->agrees, m->taken, m->sums);
            add_lanes_8(n, m->sums, m->phi);
            break;
        default:
            explain_rows_16(e, f, class, m->cells, rows, m->scratch, m->agrees, m->taken, m->sums);
            add_lanes_16(n, m->sums, m->phi);
        }
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < e->n_used; j++)
            out[r * f->n_features + e->used[j]] = m->phi[r * e->n_used + j];
}

static int explain(const Explainer *e, const Forest *f, const double *x, int64_t rows, double *out)
{
    Room room;
    if (make_room(&room, e, f, rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE))
        return -1;
    for (int64_t r = 0; r < rows; r += ROWS_AT_ONCE) {
        int64_t some = rows - r < ROWS_AT_ONCE ? rows - r : ROWS_AT_ONCE;
        explain_block(e, f, &room, x + r * f->n_features, some, out + r * f->n_features);
    }
    free(room.memory);
    return 0;
}

static PyObject *forest_shap(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *X, *into;
    Py_buffer x, out;
    if (!PyArg_ParseTuple(args, "OOO", &capsule, &X, &into))
        return NULL;
    const Explainer *e = PyCapsule_GetPointer(capsule, EXPLAINER_NAME);
    const Forest *f = e == NULL ? NULL : forest_of(e->forest);
    if (f == NULL || native_view(into, &out, "out", 'f', 8, -1, 1) < 0)
        return NULL;
    int64_t rows = out.len / 8 / f->n_features, failed = 0;
    if (native_view(X, &x, "X", 'f', 8, rows * f->n_features, 0) < 0) {
        PyBuffer_Release(&out);
        return NULL;
    }
    int64_t splits = e->class[0].n_splits + e->class[1].n_splits + e->class[2].n_splits;
    if (rows * splits < SHORT_WORK)
        failed = explain(e, f, x.buf, rows, out.buf);
    else {
        PyThreadState *state = PyEval_SaveThread();
        failed = explain(e, f, x.buf, rows, out.buf);
        PyEval_RestoreThread(state);
    }
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    if (failed)
        return PyErr_NoMemory();
    Py_INCREF(Py_None);
    return Py_None;
}

PyMethodDef tree_shap_methods[] = {
    {"new_explainer", new_explainer, METH_VARARGS, NULL},
    {"forest_shap", forest_shap, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
