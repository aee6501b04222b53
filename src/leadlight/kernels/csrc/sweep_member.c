/* One member: walk the cutoffs in order, let events enter and leave the windows, and derive the columns.

   The state is `count[cell][lane]`, a lane for each window, shortest first. An event enters all the windows that it is
   inside of by one vector add, and leaves each by subtraction; accumulators are integers, so that both are exact.
   The order of operations in doubles is that of columns.py: the results are equal bit for bit. */
#include "sweep.h"

#include <math.h>
#include <string.h>

#define DAY_US 86400000000.0
#define ENTROPY_SCALE 16777216.0
#define ALIGN 64
#define LINE 64

typedef struct {
    int32_t *count;    /* (n_cells + 1) * W; the last row stays zero */
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
    size_t cells = (size_t)p->h.n_cells;
    size_t counts = padded((cells + 1) * (size_t)W * 4), sums = padded((size_t)p->h.n_sums * (size_t)W * 8);
    size_t lasts = padded(cells * 8), all = counts + sums + lasts + padded(cells) + ALIGN;
    if (!GROW(s, state, (int64_t)all))
        return -1;
    char *at = (char *)padded((size_t)(uintptr_t)s->state);
    memset(at, 0, counts + sums);
    state->count = (int32_t *)(void *)at;
    state->sum = (int64_t *)(void *)(at + counts);
    state->last = (int64_t *)(void *)(at + counts + sums);
    state->filled = (uint8_t *)(at + counts + sums + lasts);
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

INLINE const uint16_t *keys_of(const Event *event, const Scratch *s, uint32_t *n)
{
    if (event->n != MANY) {
        *n = event->n;
        return event->key;
    }
    uint32_t at;
    memcpy(&at, event->key, sizeof(at));
    memcpy(n, event->key + 2, sizeof(*n));
    return s->more + at;
}

INLINE void enter(const Program *p, const Scratch *s, State *state, Event *event, int from_lane, const int W)
{
    int32_t one[MAX_LANES];
    for (int w = 0; w < W; w++)
        one[w] = w >= from_lane;
    uint32_t n;
    const uint16_t *key = keys_of(event, s, &n);
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
            if (p->h.visits >= 0)
                for (int w = 0; w < W; w++)
                    state->count[p->h.visits * W + w] += one[w];
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t *count = state->count + (size_t)key[i] * (size_t)W;
        for (int w = 0; w < W; w++)
            count[w] += one[w];
        state->last[key[i]] = time;
    }
    if (p->h.keep & USES_FILLED)
        for (uint32_t i = 0; i < n; i++)
            state->filled[key[i]] = (event->flags & F_FILLED) != 0;
    if (event->flags & F_SUMMED) {
        for (uint32_t i = 0; i < n; i++) {
            if (p->sum_of[key[i]] >= 0)
                for (int w = 0; w < W; w++)
                    state->sum[p->sum_of[key[i]] * W + w] = plus(state->sum[p->sum_of[key[i]] * W + w],
                                                               one[w] ? event->duration : 0);
        }
    }
}

INLINE void leave(const Program *p, const Scratch *s, State *state, const Event *event, int64_t lane, const int W)
{
    uint32_t n;
    const uint16_t *key = keys_of(event, s, &n);
    for (uint32_t i = 0; i < n; i++)
        state->count[(size_t)key[i] * (size_t)W + (size_t)lane]--;
    if (event->flags & F_START && p->h.visits >= 0)
        state->count[p->h.visits * W + lane]--;
    if (event->flags & F_SUMMED)
        for (uint32_t i = 0; i < n; i++)
            if (p->sum_of[key[i]] >= 0) {
                int64_t *sum = &state->sum[p->sum_of[key[i]] * W + lane];
                *sum = minus(*sum, event->duration);
            }
}

INLINE int64_t total(const State *state, const int32_t *key, int64_t n, int64_t lane, const int W)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += state->count[(size_t)key[i] * (size_t)W + (size_t)lane];
    return sum;
}

/* For each list of keys: the sum of its counts and the number of counts above zero, in every lane. */
INLINE void share(const Job *job, const State *state, int32_t *shared, const int W)
{
    for (int64_t f = 0; f < job->n_families; f++) {
        const int32_t *key = job->program->key + job->family_from[f];
        const int64_t n = job->family_to[f] - job->family_from[f];
        int32_t sum[MAX_LANES] = {0}, held[MAX_LANES] = {0};
        for (int64_t i = 0; i < n; i++) {
            const int32_t *count = state->count + (size_t)key[i] * (size_t)W;
            for (int w = 0; w < W; w++) {
                sum[w] += count[w];
                held[w] += count[w] > 0;
            }
        }
        memcpy(shared + 2 * f * W, sum, (size_t)W * sizeof(int32_t));
        memcpy(shared + (2 * f + 1) * W, held, (size_t)W * sizeof(int32_t));
    }
}

INLINE float entropy(Job *job, const State *state, const Column *c, const int32_t *shared, const int W)
{
    const int32_t *key = job->program->key + c->from;
    const int64_t n = c->to - c->from, sum = shared[c->lane];
    if (sum <= 0)
        return NAN;
    if (shared[W + c->lane] == 1)
        return 0.0f; /* the difference of a value and itself */
    if (sum >= job->n_xlog) {
        long long known = atomic_load(&job->table);
        while (known <= sum && !atomic_compare_exchange_weak(&job->table, &known, sum + 1))
            ;
        return NAN; /* the caller repeats the job with a longer table */
    }
    int64_t weighted = 0;
    for (int64_t i = 0; i < n; i++)
        weighted += job->xlog[state->count[(size_t)key[i] * (size_t)W + (size_t)c->lane]];
    return (float)((double)(job->xlog[sum] - weighted) / ENTROPY_SCALE / (double)sum);
}

INLINE double last_visit(const Job *job, const State *state, int64_t cutoff)
{
    if (state->visit == NONE_)
        return NAN;
    int64_t end = state->newest;
    if (job->log->duration) {
        end = plus(end, (int64_t)((uint64_t)state->newest_duration * 1000));
        end = end < cutoff ? end : cutoff;
    }
    return (double)minus(end, state->visit) / 1e6;
}

INLINE double surprise(const Column *c, const State *state, int side, int64_t cutoff, int64_t recent, int64_t ever)
{
    if (state->first[side] == NONE_)
        return NAN;
    double before = (double)minus(cutoff, state->first[side]) / (double)c->window - 1.0;
    if (!(before > 0))
        return NAN;
    double expected = (double)(ever - recent) / before;
    return ((double)recent - expected) / sqrt((expected > 0.0 ? expected : 0.0) + 1.0);
}

/* One column that is no plain cell; `peers` are the counts of the account, NULL without one. */
INLINE float derive(Job *job, const Column *c, const State *state, int64_t cutoff, int64_t q, const int32_t *peers,
                    const int32_t *shared, const int W)
{
    const int32_t *key = job->program->key + c->from;
    const int64_t n = c->to - c->from;
    switch (c->op) {
    case OP_COUNT:
        return (float)total(state, key, n, c->lane, W);
    case OP_SUM_DURATION:
        return (float)((double)state->sum[key[0] * W + c->lane] / 1000.0);
    case OP_RECENCY:
        if (state->last[key[0]] == NONE_)
            return NAN;
        return (float)((double)minus(cutoff, state->last[key[0]]) / DAY_US);
    case OP_FIRST_TIME: {
        int64_t ever = total(state, key, n, c->other_lane, W);
        return ever > 0 && ever == total(state, key, n, c->lane, W) ? 1.0f : 0.0f;
    }
    case OP_TREND: {
        int64_t recent = total(state, key, n, c->lane, W), both = total(state, key, n, c->other_lane, W);
        return (float)((double)(recent + 1) / (double)(both - recent + 1));
    }
    case OP_RATIO: {
        int64_t up = total(state, key, c->split, c->lane, W);
        int64_t down = total(state, key + c->split, n - c->split, c->other_lane, W);
        return down ? (float)((double)up / (double)down) : NAN;
    }
    case OP_DISTINCT:
        return (float)shared[W + c->lane];
    case OP_ENTROPY:
        return entropy(job, state, c, shared, W);
    case OP_VISITS_PER_MONTH: {
        int64_t visits = state->count[job->program->h.visits * W + c->lane];
        if (visits <= 0)
            return 0.0f;
        double months = (double)minus(cutoff, state->first[GIVEN]) / (30.0 * DAY_US);
        return (float)((double)visits / (months > 1.0 ? months : 1.0));
    }
    case OP_LAST_VISIT:
        return (float)last_visit(job, state, cutoff);
    case OP_COMPLETENESS: {
        int64_t found = 0;
        for (int64_t i = 0; i < n; i++)
            found += state->last[key[i]] != NONE_ && state->filled[key[i]];
        return (float)((double)found / (double)n);
    }
    case OP_SURPRISE: {
        int64_t recent = total(state, key, n, c->lane, W), ever = total(state, key, n, c->other_lane, W);
        return (float)surprise(c, state, c->split ? RECEIVED : GIVEN, cutoff, recent, ever);
    }
    case OP_PEERS: {
        if (peers == NULL)
            return NAN;
        int64_t everyone = 0; /* the account's slots follow the member's cells */
        for (int64_t i = 0; i < n; i++)
            everyone += peers[key[n + i]];
        return (float)(everyone - total(state, key, n, c->lane, W));
    }
    case OP_TENURE: {
        int64_t joined = job->joined[job->row[q]];
        return joined != NONE_ && joined < cutoff ? (float)((double)minus(cutoff, joined) / DAY_US) : NAN;
    }
    default:
        return NAN;
    }
}

/* Counts of the member's account at the cutoff. */
static const int32_t *peers_at(const Job *job, int64_t entity, int64_t cutoff)
{
    const Accounts *accounts = &job->accounts;
    if (accounts->count == NULL)
        return NULL;
    int64_t account = job->account_of[entity];
    if (account < 0 || account >= accounts->n_accounts)
        return NULL;
    int64_t from = accounts->from[account], to = accounts->from[account + 1];
    int64_t at = above(accounts->cutoff + from, to - from, cutoff - 1);
    return accounts->count + (from + account + at) * job->program->h.n_slots;
}

INLINE int walk(Job *job, Scratch *s, const Start *start, Event *event, int64_t n, int64_t entity, int64_t from, int64_t to,
                const int32_t *hidden, const int W)
{
    const Program *p = job->program;
    const int64_t finite = p->n_finite, columns = p->n_columns;
    State state;
    int64_t hi = 0, lo[MAX_LANES] = {0}, oldest[MAX_LANES];
    if (!GROW(s, shared, 2 * job->n_families * W) || begin(p, s, start, &state, W) < 0)
        return -1;
    for (int64_t q = from; q < to; q++) {
        if (hidden && hidden[q - from])
            continue;
        const int64_t cutoff = job->cutoff[q], known = hi;
        float *out = job->out + (size_t)job->row[q] * (size_t)columns;
        for (int64_t j = 0; j < columns; j += LINE / 4)
            FETCH(out + j); /* rows of a member are far apart where observations come by cutoff */
        for (int64_t w = 0; w < finite; w++) {
            oldest[w] = cutoff - p->lane[w];
            int64_t i = lo[w];
            for (; i < known && event[i].time < oldest[w]; i++)
                leave(p, s, &state, &event[i], w, W);
            lo[w] = i;
        }
        /* Events come by time, so those that are too old for the shorter windows come first. */
        for (int64_t lane = finite; lane >= 0; lane--) {
            const int64_t end = lane ? oldest[lane - 1] : cutoff;
            for (; hi < n && event[hi].time < end; hi++)
                enter(p, s, &state, &event[hi], (int)lane, W);
            if (lane && hi > known)
                lo[lane - 1] = hi;
        }
        for (int64_t j = 0; j < columns; j++)
            out[j] = (float)state.count[job->source[j]];
        for (int64_t i = 0; i < job->n_pairs; i++) {
            const Pair *pair = &job->pair[i];
            out[pair->column] = (float)((int64_t)state.count[pair->first] + state.count[pair->second]);
        }
        const int32_t *peers = peers_at(job, entity, cutoff);
        share(job, &state, s->shared, W);
        for (int64_t i = 0; i < job->n_other; i++) {
            int64_t j = job->other[i] - p->column;
            const int32_t *shared = job->family[i] < 0 ? NULL : s->shared + 2 * job->family[i] * W;
            out[j] = job->lacking[j] ? NAN : derive(job, job->other[i], &state, cutoff, q, peers, shared, W);
        }
    }
    return 0;
}

int sweep_member(Job *job, Scratch *s, const Start *start, Event *event, int64_t n, int64_t entity, int64_t from, int64_t to,
                 const int32_t *hidden)
{
    switch (sweep_width(job->program)) {
    case 8: return walk(job, s, start, event, n, entity, from, to, hidden, 8);
    case 16: return walk(job, s, start, event, n, entity, from, to, hidden, 16);
    default: return walk(job, s, start, event, n, entity, from, to, hidden, 32);
    }
}
