/* The state of one member, and how events enter and leave it.

   It is `count[cell][lane]`, a lane for each window, shortest first. An event enters all the windows that it is inside of by
   one vector add a key, and leaves each by subtraction; accumulators are integers, so that both are exact. */
#ifndef LEADLIGHT_SWEEP_STATE_H
#define LEADLIGHT_SWEEP_STATE_H

#include "sweep.h"

#include <string.h>

#define ALIGN 64

typedef struct {
    int32_t *count;    /* (n_cells + INLINE_KEYS) * W; the last rows are those of `pad` */
    float *row;        /* the columns at the cutoff before */
    int64_t *sum;      /* n_sums * W: thousandths of seconds, modulo 2^64 */
    int64_t *last;     /* n_cells: newest time, NONE_ for none */
    uint8_t *filled;   /* n_cells: whether that row left its field filled */
    int64_t first[2];  /* by side; NONE_ before the first event */
    int64_t newest, newest_duration, visit; /* given events: the last one, and the first of the newest visit */
} State;

#define INLINE static inline __attribute__((always_inline))

static size_t padded(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

/* Lay out a zero state in the scratch memory, then add what happened before. */
static int begin(const Program *p, Scratch *s, const Start *start, State *state, int W)
{
    const size_t cells = (size_t)p->h.n_cells, rows = cells + INLINE_KEYS;
    const size_t counts = padded(rows * (size_t)W * 4), sums = padded((size_t)p->h.n_sums * (size_t)W * 8);
    const size_t lasts = padded(rows * 8), all = counts + sums + lasts + padded(rows) + padded((size_t)p->n_columns * 4) + ALIGN;
    if (!GROW(s, state, (int64_t)all))
        return -1;
    char *at = (char *)padded((size_t)(uintptr_t)s->state);
    memset(at, 0, counts + sums);
    state->count = (int32_t *)(void *)at;
    state->sum = (int64_t *)(void *)(at + counts);
    state->last = (int64_t *)(void *)(at + counts + sums);
    state->filled = (uint8_t *)(at + counts + sums + lasts);
    state->row = (float *)(void *)(at + counts + sums + lasts + padded(rows));
    for (size_t i = 0; i < cells; i++)
        state->last[i] = NONE_;
    state->first[GIVEN] = state->first[RECEIVED] = state->newest = state->visit = NONE_;
    state->newest_duration = 0;
    if (start == NULL)
        return 0;
    for (int64_t lane = p->n_finite; lane < p->n_lanes; lane++) {
        for (size_t i = 0; i < cells; i++)
            state->count[i * (size_t)W + (size_t)lane] = start->count[i];
        for (int64_t i = 0; i < p->h.n_sums; i++)
            state->sum[i * W + lane] = start->duration[i];
    }
    memcpy(state->last, start->last, cells * 8);
    memcpy(state->filled, start->filled, cells);
    memcpy(state->first, start->first, sizeof(start->first));
    state->newest = start->newest;
    state->newest_duration = start->newest_duration;
    state->visit = start->visit;
    return 0;
}

/* Keys of an event that has more than fit inside. */
static const uint16_t *keys_of(const Event *event, const Scratch *s, uint32_t *n)
{
    uint32_t at;
    memcpy(&at, event->key, sizeof(at));
    memcpy(n, event->key + 2, sizeof(*n));
    return s->more + at;
}

/* From its middle less n: n zeros, then ones; and the same as masks of 64 bits. */
#define EIGHT(x) x, x, x, x, x, x, x, x
#define ALL_LANES(x) EIGHT(x), EIGHT(x), EIGHT(x), EIGHT(x)
static const int32_t STEP[2 * MAX_LANES] = {ALL_LANES(0), ALL_LANES(1)};
static const int64_t WIDE_STEP[2 * MAX_LANES] = {ALL_LANES(0), ALL_LANES(-1)};

#if defined(__GNUC__)
/* Written out, for compilers do not see that rows of the state are no part of what is added to them. */
typedef int32_t Four __attribute__((vector_size(16)));
typedef uint64_t Two __attribute__((vector_size(16)));

INLINE void add_lanes(int32_t *to, const int32_t *one, const int W)
{
    for (int w = 0; w < W; w += 4) {
        Four sum, more;
        memcpy(&sum, to + w, sizeof(sum));
        memcpy(&more, one + w, sizeof(more));
        sum += more;
        memcpy(to + w, &sum, sizeof(sum));
    }
}

INLINE void add_masked(int64_t *to, const int64_t *mask, uint64_t value, const int W)
{
    for (int w = 0; w < W; w += 2) {
        Two sum, more;
        memcpy(&sum, to + w, sizeof(sum));
        memcpy(&more, mask + w, sizeof(more));
        sum += more & (Two){value, value};
        memcpy(to + w, &sum, sizeof(sum));
    }
}
#else
INLINE void add_lanes(int32_t *to, const int32_t *one, const int W)
{
    for (int w = 0; w < W; w++)
        to[w] += one[w];
}

INLINE void add_masked(int64_t *to, const int64_t *mask, uint64_t value, const int W)
{
    for (int w = 0; w < W; w++)
        to[w] = plus(to[w], (int64_t)(value & (uint64_t)mask[w]));
}
#endif

INLINE void enter_key(State *state, uint16_t key, const int32_t *one, int64_t time, const int W)
{
    add_lanes(state->count + (size_t)key * (size_t)W, one, W);
    state->last[key] = time;
}

/* Sums of many keys: each key is looked up. */
static void sum_keys(const Program *p, const Scratch *s, State *state, const Event *event, int64_t lane, int64_t lanes,
                     uint64_t duration, int W)
{
    uint32_t n = INLINE_KEYS;
    const uint16_t *key = event->many ? keys_of(event, s, &n) : event->key;
    for (uint32_t i = 0; i < n; i++)
        if (key[i] < p->h.n_cells && p->sum_of[key[i]] >= 0)
            for (int64_t w = lane; w < lanes; w++)
                state->sum[p->sum_of[key[i]] * W + w] = plus(state->sum[p->sum_of[key[i]] * W + w], (int64_t)duration);
}

INLINE void enter(const Program *p, const Scratch *s, State *state, Event *event, int from_lane, const int W)
{
    const int32_t *one = STEP + MAX_LANES - from_lane;
    const int64_t time = event->time;
    const int side = event->flags & F_RECEIVED ? RECEIVED : GIVEN;
    if (state->first[side] == NONE_)
        state->first[side] = time;
    if (side == GIVEN) {
        int64_t gap = state->newest == NONE_ ? INT64_MAX : minus(time, state->newest);
        state->newest = time;
        state->newest_duration = event->duration;
        event->flags &= (uint8_t)~F_START;
        if (gap > p->h.gap) {
            event->flags |= F_START;
            state->visit = time;
            add_lanes(state->count + p->visits_row * W, one, W);
        }
    }
    /* Always as many keys as fit: what is added to rows that nobody reads costs less than not to know the number. */
    uint32_t n = INLINE_KEYS;
    const uint16_t *key = event->key;
    if (event->many) {
        key = keys_of(event, s, &n);
        for (uint32_t i = 0; i < n; i++)
            enter_key(state, key[i], one, time, W);
    } else
        for (int i = 0; i < INLINE_KEYS; i++)
            enter_key(state, key[i], one, time, W);
    if (event->flags & F_FIELD)
        for (uint32_t i = 0; i < n; i++)
            state->filled[key[i]] = (event->flags & F_FILLED) != 0;
    if (p->h.n_sums > FEW_SUMS) {
        if (event->flags & F_SUMMED)
            sum_keys(p, s, state, event, from_lane, p->n_lanes, (uint64_t)event->duration, W);
    } else
        for (int64_t k = 0; k < p->h.n_sums; k++) {
            const uint64_t duration = (uint64_t)event->duration & (0 - (uint64_t)(event->flags >> (4 + k) & 1));
            add_masked(state->sum + k * W, WIDE_STEP + MAX_LANES - from_lane, duration, W);
        }
}

INLINE void leave(const Program *p, const Scratch *s, State *state, const Event *event, int64_t lane, const int W)
{
    int32_t *count = state->count + lane;
    if (event->many) {
        uint32_t n;
        const uint16_t *key = keys_of(event, s, &n);
        for (uint32_t i = 0; i < n; i++)
            count[(size_t)key[i] * (size_t)W]--;
    } else
        for (int i = 0; i < INLINE_KEYS; i++)
            count[(size_t)event->key[i] * (size_t)W]--;
    count[p->visits_row * W] -= (event->flags & F_START) != 0;
    if (p->h.n_sums > FEW_SUMS) {
        if (event->flags & F_SUMMED)
            sum_keys(p, s, state, event, lane, lane + 1, 0 - (uint64_t)event->duration, W);
    } else
        for (int64_t k = 0; k < p->h.n_sums; k++) {
            const uint64_t duration = (uint64_t)event->duration & (0 - (uint64_t)(event->flags >> (4 + k) & 1));
            state->sum[k * W + lane] = minus(state->sum[k * W + lane], (int64_t)duration);
        }
}

#endif
