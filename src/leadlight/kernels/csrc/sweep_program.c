/* A compiled plan: its parts are checked for everything that the loops rely on, and its columns sorted by how they are
   filled. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

void release_program(Program *p)
{
    free(p->memory);
    free(p->reads);
    free(p->columns_memory);
    free(p);
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
    if (h->n_cells < 0 || h->n_cells > UINT16_MAX - INLINE_KEYS || h->visits < -1 || h->visits >= h->n_cells)
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
            for (int32_t j = from; j < to && side != ACCOUNT; j++) {
                p->reads[i / h->values[a]] |= p->of_completeness[p->emit_key[a][j]];
                p->sides[p->emit_key[a][j]] |= (uint8_t)(1 << side);
            }
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

/* Room for `reads` and `sides`, and the cells that columns of completeness ask for. */
static int make_reads(Program *p)
{
    p->reads = calloc((size_t)(SIDES * (p->h.n_actions + 1) + 2 * p->h.n_cells), 1);
    if (p->reads == NULL) {
        no_memory();
        return -1;
    }
    p->of_completeness = p->reads + SIDES * (p->h.n_actions + 1);
    p->sides = p->of_completeness + p->h.n_cells;
    if (p->h.visits >= 0)
        p->sides[p->h.visits] = 1 << GIVEN;
    for (int64_t j = 0; j < p->n_columns; j++)
        if (p->column[j].op == OP_COMPLETENESS)
            for (int64_t i = p->column[j].from; i < p->column[j].to; i++)
                p->of_completeness[p->key[i]] = 1;
    return 0;
}

/* What a column depends on. */
static Changes reads_of(const Program *p, const Column *c)
{
    Changes reads = {{0, 0}, FIRST};
    switch (c->op) {
    case OP_MISSING: return reads;
    case OP_COMPLETENESS: reads.more = ENTERED; return reads;
    case OP_VISITS_PER_MONTH:
    case OP_LAST_VISIT:
    case OP_SURPRISE:
    case OP_PEERS:
    case OP_TENURE: reads.more = ALWAYS; return reads;
    default: break;
    }
    const uint32_t lanes = (uint32_t)1 << c->lane | (uint32_t)1 << c->other_lane;
    int sides = c->op == OP_SUM_DURATION ? 3 : 0; /* its keys are sums, not cells */
    for (int64_t i = c->from; i < c->to && c->op != OP_SUM_DURATION; i++)
        sides |= p->sides[p->key[i]];
    for (int side = GIVEN; side <= RECEIVED; side++)
        reads.lanes[side] = sides >> side & 1 ? lanes : 0;
    return reads;
}

/* The group of a column that is one cell or the sum of two; -1 for any other, and where two cells change apart. */
static int64_t group_of(const Program *p, const Column *c)
{
    const int32_t *key = p->key + c->from;
    const int64_t keys = c->to - c->from;
    if (c->needs & ~p->have || (c->op != OP_CELL && (c->op != OP_COUNT || keys != 2)))
        return -1;
    const int sides = p->sides[key[0]] | (c->op == OP_CELL ? 0 : p->sides[key[1]]);
    return sides == 3 ? -1 : (sides >> 1) * MAX_LANES + c->lane;
}

/* Put a column of distinct entries or of entropy to those over the same keys and window. */
static void join_family(Program *p, const Column *c, int64_t j)
{
    const size_t bytes = (size_t)(c->to - c->from) * sizeof(int32_t);
    for (int64_t f = 0; f <= p->n_families; f++) {
        Family *family = &p->family[f];
        if (f == p->n_families) {
            *family = (Family){c->from, c->to, c->lane, -1, -1, reads_of(p, c)};
            p->n_families++;
        }
        int64_t *mine = c->op == OP_DISTINCT ? &family->distinct : &family->entropy;
        if (*mine < 0 && family->lane == c->lane && family->to - family->from == c->to - c->from &&
            memcmp(p->key + family->from, p->key + c->from, bytes) == 0) {
            *mine = j;
            return;
        }
    }
}

/* Columns that are one cell or two, by lane, then all others by operation, so that the processor foresees the next. */
static int lay_out(Program *p)
{
    const size_t n = (size_t)p->n_columns + 1;
    const int width = sweep_width(p);
    char *at = p->columns_memory = malloc(n * (sizeof(Derived) + sizeof(Family) + sizeof(Pair) + 2 * sizeof(Single)));
    if (at == NULL) {
        no_memory();
        return -1;
    }
    p->derived = (Derived *)(void *)at;
    p->family = (Family *)(void *)(at += n * sizeof(Derived));
    p->pair = (Pair *)(void *)(at += n * sizeof(Family));
    p->single = (Single *)(void *)(at += n * sizeof(Pair));
    p->recent = p->single + n;
    int64_t singles = 0, pairs = 0;
    for (int64_t group = 0; group <= GROUPS; group++) {
        p->single_from[group] = singles;
        p->pair_from[group] = pairs;
        for (int64_t j = 0; j < p->n_columns && group < GROUPS; j++) {
            const Column *c = &p->column[j];
            const int32_t *key = p->key + c->from, at = (int32_t)j, lane = (int32_t)c->lane;
            if (group_of(p, c) != group)
                continue;
            if (c->op == OP_CELL)
                p->single[singles++] = (Single){at, key[0] * width + lane};
            else
                p->pair[pairs++] = (Pair){at, key[0] * width + lane, key[1] * width + lane};
        }
    }
    for (int64_t op = 0; op < OPERATIONS; op++)
        for (int64_t j = 0; j < p->n_columns; j++) {
            const Column *c = &p->column[j];
            const int lacking = (c->needs & ~p->have) != 0;
            if (c->op != op || group_of(p, c) >= 0)
                continue;
            if (lacking)
                p->derived[p->n_derived++] = (Derived){c, j, {{0, 0}, FIRST}, 1};
            else if (op == OP_RECENCY)
                p->recent[p->n_recent++] = (Single){(int32_t)j, p->key[c->from]};
            else if (op == OP_DISTINCT || op == OP_ENTROPY)
                join_family(p, c, j);
            else
                p->derived[p->n_derived++] = (Derived){c, j, reads_of(p, c), 0};
        }
    p->visits_row = p->h.visits < 0 ? p->h.n_cells : p->h.visits;
    for (int i = 0; i <= INLINE_KEYS; i++)
        p->pad[i] = (uint16_t)(p->h.n_cells + (i < INLINE_KEYS ? i : 0));
    return 0;
}

/* Kind and size of the parts of a program, in the order of program.py; 'H' is an unsigned number of two bytes. */
static const char PARTS[] = "qqqihiiiiHiHiHiHiHiHiHHHHHHH";
#define N_PARTS 28

Program *make_program(PyObject *parts, int64_t have)
{
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
    p->have = have;
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
    sound = sound && make_reads(p) == 0 && check_tables(p, length) == 0 && lay_out(p) == 0;
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
    return p;
}
