/* The raw margin of boosted trees: leaf values added in the order of the trees, as LightGBM does. */
#include "trees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FOREST_NAME "leadlight.forest"
#define BLOCK 64          /* rows expanded at once */
#define TILE 1536         /* nodes that stay in the cache next to the rows */
#define SHORT_WORK 50000  /* rows x trees that are not worth giving up the GIL */
#define STACK_DOUBLES 2048

const Forest *forest_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, FOREST_NAME); }

/* ---- pack ------------------------------------------------------------------------------------------------------- */

static void release(Forest *f)
{
    if (f == NULL)
        return;
    free(f->node);
    free(f->source);
    free(f->tree);
    free(f->order);
    free(f->slot_feature);
    free(f->leaf_value);
    free(f->set_from);
    free(f->set_word);
    free(f);
}

static void free_forest(PyObject *capsule) { release(PyCapsule_GetPointer(capsule, FOREST_NAME)); }

typedef struct {
    const int32_t *root, *first, *second, *slot;
    const double *number;
    const uint8_t *categorical;
    int64_t n_inner;
} Parts;

/* Lay out one tree, level by level; return what is wrong with it, or NULL. `seen` has a byte for each node and leaf. */
static const char *lay_out(Forest *f, const Parts *p, int32_t root, Tree *tree, uint8_t *seen, int32_t *level)
{
    int64_t end = tree->start;
    f->source[end] = root;
    level[end++] = 0;
    tree->depth = tree->categorical = 0;
    for (int64_t at = tree->start; at < end; at++) {
        Node *node = f->node + at;
        int32_t link = f->source[at];
        if (link < -f->n_leaves || link >= p->n_inner)
            return "a child or root points nowhere";
        uint8_t *mark = link >= 0 ? seen + link : seen + p->n_inner + ~link;
        if (*mark)
            return "a node or leaf is reached twice";
        *mark = 1;
        if (level[at] > tree->depth)
            tree->depth = level[at];
        if (link < 0) {
            if (isnan(f->leaf_value[~link]))
                return "a leaf value is NaN";
            *node = (Node){f->leaf_value[~link], (uint32_t)f->n_slots, (int32_t)at};
            continue;
        }
        *node = (Node){p->number[link], (uint32_t)p->slot[link], (int32_t)end};
        if (p->categorical[link]) {
            if (!(node->number >= 0.0 && node->number < (double)f->n_sets))
                return "a node names no category set";
            node->slot |= CATEGORY;
            tree->categorical = 1;
        }
        if (end + 2 > f->n_nodes)
            return "a node or leaf is reached twice";
        f->source[end] = p->first[link];
        f->source[end + 1] = p->second[link];
        level[end] = level[end + 1] = level[at] + 1;
        end += 2;
    }
    tree->end = (int32_t)end;
    return NULL;
}

static int shallower(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : (x[1] > y[1]) - (x[1] < y[1]);
}

static int sort_trees(Forest *f)
{
    int64_t *key = malloc(sizeof(int64_t) * 2 * (size_t)(f->n_trees + 1));
    if (key == NULL)
        return -1;
    for (int64_t t = 0; t < f->n_trees; t++) {
        key[2 * t] = f->tree[t].categorical ? INT64_MAX : f->tree[t].depth;
        key[2 * t + 1] = t;
    }
    qsort(key, (size_t)f->n_trees, 2 * sizeof(int64_t), shallower);
    f->n_plain = 0;
    for (int64_t t = 0; t < f->n_trees; t++) {
        f->order[t] = (int32_t)key[2 * t + 1];
        f->n_plain += key[2 * t] != INT64_MAX;
    }
    free(key);
    return 0;
}

static const char *check_tables(const Forest *f, const Parts *p, const int64_t *counts, int64_t n_words)
{
    int64_t total = 0;
    for (int v = 0; v < 4; v++) {
        if (counts[v] < 0 || counts[v] > f->n_slots)
            return "the slots do not fit";
        total += counts[v];
    }
    if (total != f->n_slots)
        return "the slots do not fit";
    for (int64_t s = 0; s < f->n_slots; s++)
        if (f->slot_feature[s] < 0 || f->slot_feature[s] >= f->n_features)
            return "a feature is out of bounds";
    for (int64_t i = 0; i < p->n_inner; i++)
        if (p->slot[i] < 0 || p->slot[i] >= f->n_slots)
            return "a slot is out of bounds";
    if (f->n_sets < 0 || f->set_from[0] != 0 || f->set_from[f->n_sets] != n_words)
        return "the category sets do not fit their offsets";
    for (int64_t s = 0; s < f->n_sets; s++)
        if (f->set_from[s] > f->set_from[s + 1])
            return "the category sets do not fit their offsets";
    return NULL;
}

static int copy(void *into, const Py_buffer *view)
{
    void *memory = malloc((size_t)view->len + 1);
    if (memory == NULL)
        return -1;
    if (view->len)
        memcpy(memory, view->buf, (size_t)view->len);
    *(void **)into = memory;
    return 0;
}

static int build(Forest *f, const Parts *p, const Py_buffer *view, const int64_t *counts)
{
    size_t nodes = (size_t)f->n_nodes + 1, trees = (size_t)f->n_trees + 1;
    if (copy(&f->slot_feature, view + 7) || copy(&f->leaf_value, view + 6) || copy(&f->set_from, view + 8) ||
        copy(&f->set_word, view + 9))
        return PyErr_NoMemory(), -1;
    const char *wrong = check_tables(f, p, counts, view[9].len / 4);
    if (wrong != NULL)
        return PyErr_SetString(PyExc_ValueError, wrong), -1;
    for (int v = 0; v < 4; v++)
        f->from_variant[v + 1] = f->from_variant[v] + counts[v];
    f->node = malloc(nodes * sizeof(Node));
    f->source = malloc(nodes * sizeof(int32_t));
    f->tree = malloc(trees * sizeof(Tree));
    f->order = malloc(trees * sizeof(int32_t));
    int32_t *level = malloc(nodes * sizeof(int32_t));
    uint8_t *seen = calloc(nodes, 1);
    int ready = f->node && f->source && f->tree && f->order && level && seen;
    int64_t at = 0;
    for (int64_t t = 0; ready && wrong == NULL && t < f->n_trees; t++) {
        f->tree[t].start = (int32_t)at;
        wrong = at < f->n_nodes ? lay_out(f, p, p->root[t], f->tree + t, seen, level) : "a root is reached twice";
        at = wrong ? at : f->tree[t].end;
    }
    free(level);
    free(seen);
    if (wrong != NULL)
        return PyErr_SetString(PyExc_ValueError, wrong), -1;
    if (!ready || sort_trees(f))
        return PyErr_NoMemory(), -1;
    return 0;
}

#define FOREST_VIEWS 10

static PyObject *new_forest(PyObject *self, PyObject *args)
{
    (void)self;
    static const char *const names[FOREST_VIEWS] = {"root",        "first",      "second",       "slot",   "number",
                                                    "categorical", "leaf_value", "slot_feature", "offset", "word"};
    static const char kinds[FOREST_VIEWS] = {'i', 'i', 'i', 'i', 'f', '?', 'f', 'i', 'i', 'u'};
    static const int sizes[FOREST_VIEWS] = {4, 4, 4, 4, 8, 1, 8, 4, 8, 4};
    PyObject *array[FOREST_VIEWS], *capsule = NULL;
    long long counts[4], features;
    Py_buffer view[FOREST_VIEWS];
    int open = 0;
    if (!PyArg_ParseTuple(args, "(OOOOOOOOOO)(LLLL)L", array, array + 1, array + 2, array + 3, array + 4, array + 5,
                          array + 6, array + 7, array + 8, array + 9, counts, counts + 1, counts + 2, counts + 3, &features))
        return NULL;
    Forest *f = calloc(1, sizeof *f);
    if (f == NULL)
        return PyErr_NoMemory();
    for (; open < FOREST_VIEWS; open++) {
        Py_ssize_t items = open >= 2 && open <= 5 ? view[1].len / 4 : -1;
        if (native_view(array[open], view + open, names[open], kinds[open], sizes[open], items, 0) < 0)
            goto done;
    }
    f->n_features = features;
    f->n_trees = view[0].len / 4;
    f->n_leaves = view[6].len / 8;
    f->n_slots = view[7].len / 4;
    f->n_sets = view[8].len / 8 - 1;
    Parts p = {view[0].buf, view[1].buf, view[2].buf, view[3].buf, view[4].buf, view[5].buf, view[1].len / 4};
    f->n_nodes = p.n_inner + f->n_leaves;
    if (f->n_nodes >= INT32_MAX || f->n_slots >= INT32_MAX || f->n_trees >= INT32_MAX || features < 1 ||
        features >= INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "there are too many nodes, or no features");
        goto done;
    }
    int64_t by_variant[4] = {counts[0], counts[1], counts[2], counts[3]};
    if (build(f, &p, view, by_variant) == 0)
        capsule = PyCapsule_New(f, FOREST_NAME, free_forest);
done:
    while (open--)
        PyBuffer_Release(view + open);
    if (capsule == NULL)
        release(f);
    return capsule;
}

/* ---- walk ------------------------------------------------------------------------------------------------------- */

static double as_zero_missing(double x) { return fabs(x) <= (double)1e-35f ? NAN : x; }

void expand(const Forest *f, const double *x, int64_t rows, double *out, int64_t stride)
{
    const int32_t *feature = f->slot_feature;
    const int64_t *from = f->from_variant, width = f->n_features;
    for (int64_t s = from[0]; s < from[1]; s++)
        for (int64_t r = 0; r < rows; r++)
            out[s * stride + r] = x[r * width + feature[s]];
    for (int64_t s = from[1]; s < from[2]; s++)
        for (int64_t r = 0; r < rows; r++)
            out[s * stride + r] = -x[r * width + feature[s]];
    for (int64_t s = from[2]; s < from[3]; s++)
        for (int64_t r = 0; r < rows; r++)
            out[s * stride + r] = as_zero_missing(x[r * width + feature[s]]);
    for (int64_t s = from[3]; s < from[4]; s++)
        for (int64_t r = 0; r < rows; r++)
            out[s * stride + r] = -as_zero_missing(x[r * width + feature[s]]);
    for (int64_t r = 0; r < rows; r++)
        out[f->n_slots * stride + r] = -INFINITY;
}

/* Walk a tree that has categories. */
static double walk_any(const Forest *f, const Node *n, const double *x, int64_t stride)
{
    while (n->slot != (uint32_t)f->n_slots) {
        double value = x[(n->slot & ~CATEGORY) * stride];
        int first = n->slot & CATEGORY ? in_category_set(f, n->number, value) : value <= n->number;
        n = f->node + n->next + !first;
    }
    return n->number;
}

/* Take `depth` steps on eight paths at once, so that none waits for another's loads; all of them end in leaves. */
#define WALK_EIGHT(at, node, depth, value_of)                                                                                  \
    for (int32_t level = 0; level < (depth); level++) {                                                                        \
        int32_t moved = 0;                                                                                                     \
        for (int i = 0; i < ROWS; i++) {                                                                                       \
            const Node *n = (node) + at[i];                                                                                    \
            at[i] = n->next + !((value_of) <= n->number);                                                                      \
        }                                                                                                                      \
        if ((level & 7) == 7) {                                                                                                \
            for (int i = 0; i < ROWS; i++)                                                                                     \
                moved |= (node)[at[i]].next ^ at[i];                                                                           \
            if (!moved)                                                                                                        \
                break;                                                                                                         \
        }                                                                                                                      \
    }

/* One row: eight trees of like depth side by side. `value` has room for every tree. */
static double walk_row(const Forest *f, const double *x, double *value)
{
    const Node *node = f->node;
    int64_t j = 0;
    for (; j + ROWS <= f->n_plain; j += ROWS) {
        int32_t at[ROWS], depth = f->tree[f->order[j + ROWS - 1]].depth;
        for (int i = 0; i < ROWS; i++)
            at[i] = f->tree[f->order[j + i]].start;
        WALK_EIGHT(at, node, depth, x[n->slot])
        for (int i = 0; i < ROWS; i++)
            value[f->order[j + i]] = node[at[i]].number;
    }
    for (; j < f->n_trees; j++)
        value[f->order[j]] = walk_any(f, node + f->tree[f->order[j]].start, x, 1);
    double sum = 0.0;
    for (int64_t t = 0; t < f->n_trees; t++)
        sum += value[t];
    return sum;
}

/* Eight rows through the trees from `t` to `to`; `x` holds them side by side. */
static void walk_rows(const Forest *f, const double *x, int64_t t, int64_t to, double *sum)
{
    const Node *node = f->node;
    for (; t < to; t++) {
        const Tree *tree = f->tree + t;
        if (tree->categorical) {
            for (int i = 0; i < ROWS; i++)
                sum[i] += walk_any(f, node + tree->start, x + i, ROWS);
            continue;
        }
        int32_t at[ROWS];
        for (int i = 0; i < ROWS; i++)
            at[i] = tree->start;
        WALK_EIGHT(at, node, tree->depth, x[(int64_t)n->slot * ROWS + i])
        for (int i = 0; i < ROWS; i++)
            sum[i] += node[at[i]].number;
    }
}

/* Up to BLOCK rows: tiles of trees that fit the cache, and in each of them the rows, eight at a time. */
static void walk_block(const Forest *f, const double *x, int64_t rows, double *cells, double *out)
{
    int64_t area = (f->n_slots + 1) * ROWS, groups = (rows + ROWS - 1) / ROWS;
    double sum[BLOCK] = {0.0};
    for (int64_t g = 0; g < groups; g++) {
        int64_t some = rows - g * ROWS < ROWS ? rows - g * ROWS : ROWS;
        if (some < ROWS)
            memset(cells + g * area, 0, sizeof(double) * (size_t)area);
        expand(f, x + g * ROWS * f->n_features, some, cells + g * area, ROWS);
        for (int64_t r = some; r < ROWS; r++)
            cells[g * area + f->n_slots * ROWS + r] = -INFINITY;
    }
    for (int64_t t = 0, to; t < f->n_trees; t = to) {
        for (to = t + 1; to < f->n_trees && f->tree[to].end - f->tree[t].start <= TILE;)
            to++;
        for (int64_t g = 0; g < groups; g++)
            walk_rows(f, cells + g * area, t, to, sum + g * ROWS);
    }
    memcpy(out, sum, sizeof(double) * (size_t)rows);
}

static int walk(const Forest *f, const double *x, int64_t rows, double *out)
{
    double room[STACK_DOUBLES], *cells = room;
    size_t single = (size_t)(f->n_slots + 1 + f->n_trees), block = (size_t)(f->n_slots + 1) * BLOCK;
    size_t wanted = rows < ROWS ? single : block;
    if (wanted > STACK_DOUBLES && (cells = malloc(sizeof(double) * wanted)) == NULL)
        return -1;
    if (rows < ROWS)
        for (int64_t r = 0; r < rows; r++) {
            expand(f, x + r * f->n_features, 1, cells, 1);
            out[r] = walk_row(f, cells, cells + f->n_slots + 1);
        }
    else
        for (int64_t r = 0; r < rows; r += BLOCK)
            walk_block(f, x + r * f->n_features, rows - r < BLOCK ? rows - r : BLOCK, cells, out + r);
    if (cells != room)
        free(cells);
    return 0;
}

static PyObject *forest_margin(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *X, *into;
    Py_buffer x, out;
    if (!PyArg_ParseTuple(args, "OOO", &capsule, &X, &into))
        return NULL;
    const Forest *f = forest_of(capsule);
    if (f == NULL || native_view(into, &out, "out", 'f', 8, -1, 1) < 0)
        return NULL;
    int64_t rows = out.len / 8;
    if (native_view(X, &x, "X", 'f', 8, rows * f->n_features, 0) < 0) {
        PyBuffer_Release(&out);
        return NULL;
    }
    int failed;
    if (rows * f->n_trees < SHORT_WORK)
        failed = walk(f, x.buf, rows, out.buf);
    else {
        PyThreadState *state = PyEval_SaveThread();
        failed = walk(f, x.buf, rows, out.buf);
        PyEval_RestoreThread(state);
    }
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    if (failed)
        return PyErr_NoMemory();
    Py_INCREF(Py_None);
    return Py_None;
}

PyMethodDef trees_methods[] = {
    {"new_forest", new_forest, METH_VARARGS, NULL},
    {"forest_margin", forest_margin, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
