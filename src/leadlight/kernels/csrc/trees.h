/* Boosted trees as the walk and the SHAP values read them. See trees_native.py for how nodes become comparisons. */
#ifndef LEADLIGHT_TREES_H
#define LEADLIGHT_TREES_H

#include "native.h"

/* The clones differ in the width of their vectors alone: no operation is reordered or fused, so their results are equal. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(LEADLIGHT_NO_CLONES)
#define CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CLONES
#endif

#define ROWS 8            /* rows that walk a tree side by side */
#define CATEGORY (1u << 31) /* bit of Node.slot: `number` is the index of a category set */

/* `x[slot] <= number` leads to the node at `next`, everything else (NaN too) to the one after it. A leaf leads to itself: its
   slot is the last, which holds -inf, and `number` is its value. */
typedef struct {
    double number;
    uint32_t slot;
    int32_t next;
} Node;

typedef struct {
    int32_t start, end; /* nodes; the root comes first, parents before children */
    int32_t depth;
    int32_t categorical;
} Tree;

typedef struct {
    Node *node;
    int32_t *source; /* of each node: index in the caller's arrays, or ~index of a leaf */
    Tree *tree;
    int32_t *order; /* trees for a single row: those without categories first, by depth */
    int32_t *slot_feature;
    double *leaf_value;
    int64_t *set_from;
    uint32_t *set_word;
    int64_t n_nodes, n_leaves, n_trees, n_plain, n_sets, n_features, n_slots;
    int64_t from_variant[5]; /* slots are sorted by variant: as it is, negative, zeros missing, both */
} Forest;

const Forest *forest_of(PyObject *capsule);

/* Write the value of each slot, and -inf after them, of `rows` rows of X: row r, slot s goes to out[s * stride + r]. */
void expand(const Forest *f, const double *x, int64_t rows, double *out, int64_t stride);

static inline int in_category_set(const Forest *f, double number, double x)
{
    /* NaN, negatives and what does not fit 32 bits are in no set; -0.5 is category 0. */
    if (!(x > -1.0 && x < 2147483648.0))
        return 0;
    int64_t set = (int64_t)number, code = (int64_t)x;
    int64_t word = f->set_from[set] + (code >> 5);
    return word < f->set_from[set + 1] && (f->set_word[word] >> (code & 31)) & 1;
}

#endif
