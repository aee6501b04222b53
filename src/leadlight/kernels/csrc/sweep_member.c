/* One member: walk the cutoffs in order, let events enter and leave the windows, and derive the columns.

   A row of columns is kept from one cutoff to the next: a column is derived anew where a row of a side that it counts came into
   or left a window that it reads. The order of operations in doubles is that of columns.py: results are equal bit for bit. */
#include "sweep_state.h"

#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#define DAY_US 86400000000.0
#define ENTROPY_SCALE 16777216.0

INLINE int64_t total(const State *state, const int32_t *key, int64_t n, int64_t lane, const int W)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += state->count[(size_t)key[i] * (size_t)W + (size_t)lane];
    return sum;
}

/* What columns of distinct entries and of entropy read of a list of keys in one lane. */
typedef struct {
    int64_t sum, held, weighted; /* of the counts; how many are above zero; of their x log2 x */
} Shared;

INLINE Shared share(const Job *job, const State *state, const Family *family, const int W)
{
    const int32_t *key = job->program->key + family->from, *count = state->count + family->lane;
    const int64_t *xlog = job->xlog, n = family->to - family->from, last = job->n_xlog - 1;
    Shared found = {0, 0, 0};
    if (family->entropy < 0) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t x = count[(size_t)key[i] * (size_t)W];
            found.sum += x;
            found.held += x > 0;
        }
        return found;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t x = count[(size_t)key[i] * (size_t)W];
        found.sum += x;
        found.held += x > 0;
        found.weighted += xlog[x < last ? x : last]; /* beyond the table so is the sum, and nothing is made of this */
    }
    return found;
}

INLINE float entropy(Job *job, const Shared *shared)
{
    const int64_t sum = shared->sum;
    if (sum <= 0)
        return NAN;
    if (shared->held == 1)
        return 0.0f; /* the difference of a value and itself */
    if (sum >= job->n_xlog) {
        long long known = atomic_load(&job->table);
        while (known <= sum && !atomic_compare_exchange_weak(&job->table, &known, sum + 1))
            ;
        return NAN; /* the caller repeats the job with a longer table */
    }
    return (float)((double)(job->xlog[sum] - shared->weighted) / ENTROPY_SCALE / (double)sum);
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
INLINE float derive(Job *job, const Column *c, const State *state, int64_t cutoff, int64_t q, const int32_t *peers, const int W)
{
    const int32_t *key = job->program->key + c->from;
    const int64_t n = c->to - c->from;
    switch (c->op) {
    case OP_CELL:
    case OP_COUNT:
        return (float)total(state, key, n, c->lane, W);
    case OP_SUM_DURATION:
        return (float)((double)state->sum[key[0] * W + c->lane] / 1000.0);
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

/* Counts of the member's account at the cutoff. `at`: where the cutoff before was found, for they ascend. */
INLINE const int32_t *peers_at(const Job *job, int64_t account, int64_t cutoff, int64_t *at)
{
    const Accounts *accounts = &job->accounts;
    if (account < 0)
        return NULL;
    const int64_t from = accounts->from[account], n = accounts->from[account + 1] - from;
    const int64_t *asked = accounts->cutoff + accounts->list[account];
    if (*at < n && asked[*at] < cutoff)
        ++*at;
    if (*at < n && asked[*at] < cutoff)
        *at = above(asked, n, cutoff - 1);
    return accounts->count + (from + account + *at) * job->program->h.n_slots;
}

INLINE int64_t account_at(const Job *job, int64_t entity)
{
    if (job->accounts.count == NULL)
        return -1;
    const int64_t account = job->account_of[entity];
    return account < job->accounts.n_accounts ? account : -1;
}

/* Write a finished row. Rows of a member are far apart where observations come by cutoff: a large result is written past the
   caches, which saves reading the lines that it fills. */
INLINE void write_row(float *out, const float *row, int64_t n, int far)
{
#if defined(__SSE2__)
    if (far) {
        int64_t j = 0;
        for (; j < n && (uintptr_t)(out + j) % 16; j++)
            out[j] = row[j];
        for (; j + 4 <= n; j += 4)
            _mm_stream_ps(out + j, _mm_loadu_ps(row + j));
        for (; j < n; j++)
            out[j] = row[j];
        return;
    }
#endif
    (void)far;
    memcpy(out, row, (size_t)n * sizeof(float));
}

void finish_rows(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* Columns that are one cell or the sum of two, of a group that changed. */
INLINE void copy_cells(const Program *p, const State *state, int64_t group)
{
    for (int64_t i = p->single_from[group]; i < p->single_from[group + 1]; i++)
        state->row[p->single[i].column] = (float)state->count[p->single[i].source];
    for (int64_t i = p->pair_from[group]; i < p->pair_from[group + 1]; i++) {
        const Pair *pair = &p->pair[i];
        state->row[pair->column] = (float)((int64_t)state->count[pair->first] + state->count[pair->second]);
    }
}

INLINE int walk(Job *job, Scratch *s, const Start *start, Event *event, int64_t n, int64_t entity, int64_t from, int64_t to,
                const int32_t *hidden, const int W)
{
    const Program *p = job->program;
    const int64_t finite = p->n_finite, account = account_at(job, entity);
    State state;
    int64_t hi = 0, lo[MAX_LANES] = {0}, oldest[MAX_LANES], seen = 0;
    Changes changed = {{UINT32_MAX, UINT32_MAX}, FIRST | ENTERED};
    if (begin(p, s, start, &state, W) < 0)
        return -1;
    float *row = state.row;
    for (int64_t q = from; q < to; q++) {
        if (hidden && hidden[q - from])
            continue;
        const int64_t cutoff = job->cutoff[q], known = hi;
        for (int64_t w = 0; w < finite; w++) {
            oldest[w] = cutoff - p->lane[w];
            int64_t i = lo[w];
            for (; i < known && event[i].time < oldest[w]; i++) {
                leave(p, s, &state, &event[i], w, W);
                changed.lanes[event[i].flags & F_RECEIVED] |= (uint32_t)1 << w;
            }
            lo[w] = i;
        }
        /* Events come by time, so those that are too old for the shorter windows come first. */
        for (int64_t lane = finite; lane >= 0; lane--) {
            const int64_t end = lane ? oldest[lane - 1] : cutoff;
            for (; hi < n && event[hi].time < end; hi++) {
                enter(p, s, &state, &event[hi], (int)lane, W);
                changed.lanes[event[hi].flags & F_RECEIVED] |= (uint32_t)(UINT64_MAX << lane);
            }
            if (lane && hi > known)
                lo[lane - 1] = hi;
        }
        for (int side = GIVEN; side <= RECEIVED; side++)
            for (int64_t w = 0; w < p->n_lanes; w++)
                if (changed.lanes[side] >> w & 1)
                    copy_cells(p, &state, side * MAX_LANES + w);
        const int32_t *peers = peers_at(job, account, cutoff, &seen);
        changed.more |= ALWAYS | (hi > known ? ENTERED : 0);
        for (int64_t i = 0; i < p->n_recent; i++) {
            const int64_t last = state.last[p->recent[i].source];
            const float days = (float)((double)minus(cutoff, last) / DAY_US);
            row[p->recent[i].column] = last == NONE_ ? NAN : days;
        }
        for (int64_t i = 0; i < p->n_families; i++) {
            const Family *family = &p->family[i];
            if (!touches(&changed, &family->reads))
                continue;
            const Shared shared = share(job, &state, family, W);
            if (family->distinct >= 0)
                row[family->distinct] = (float)shared.held;
            if (family->entropy >= 0)
                row[family->entropy] = entropy(job, &shared);
        }
        for (int64_t i = 0; i < p->n_derived; i++) {
            const Derived *d = &p->derived[i];
            if (touches(&changed, &d->reads))
                row[d->at] = d->lacking ? NAN : derive(job, d->column, &state, cutoff, q, peers, W);
        }
        write_row(job->out + (size_t)job->row[q] * (size_t)p->n_columns, row, p->n_columns, job->far);
        changed = (Changes){{0, 0}, 0};
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
