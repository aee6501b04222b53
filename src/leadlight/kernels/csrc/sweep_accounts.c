/* Counts of accounts at the cutoffs of their members, for the columns of peers.

   A row adds one to all cutoffs of its account that lie in (known, time + window]. That is two steps in an array of
   differences, so that neither the order of rows nor the number of members in an account matters. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

/* Merge two ascending lists, each value once. */
static int64_t merge(const int64_t *a, int64_t n, const int64_t *b, int64_t m, int64_t *to)
{
    int64_t i = 0, j = 0, k = 0;
    while (i < n || j < m) {
        int64_t value = j >= m || (i < n && a[i] <= b[j]) ? a[i++] : b[j++];
        if (k == 0 || to[k - 1] != value)
            to[k++] = value;
    }
    return k;
}

/* Sort and make distinct: members' cutoffs come as ascending runs, most of them alike. */
static int64_t distinct(int64_t *values, int64_t n, int64_t *spare, int64_t *run)
{
    int64_t runs = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || values[i] <= values[i - 1])
            run[runs++] = i;
    run[runs] = n;
    int64_t *from = values, *to = spare;
    while (runs > 1) {
        int64_t at = 0, kept = 0;
        for (int64_t r = 0; r < runs; r += 2) {
            int64_t middle = run[r + 1], end = r + 2 <= runs ? run[r + 2] : run[r + 1];
            int64_t length = merge(from + run[r], middle - run[r], from + middle, end - middle, to + at);
            run[kept++] = at; /* never ahead of what is still read: kept <= r */
            at += length;
        }
        run[kept] = at;
        runs = kept;
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    int64_t length = n ? run[1] : 0;
    if (from != values)
        memcpy(values, from, (size_t)length * sizeof(int64_t));
    return length;
}

int prepare_accounts(Job *job)
{
    Accounts *accounts = &job->accounts;
    int64_t largest = -1;
    for (int64_t m = 0; m < job->n_account_of; m++)
        if (job->account_of[m] > largest)
            largest = job->account_of[m];
    int64_t n = largest + 1, asked = 0;
    accounts->n_accounts = n;
    accounts->from = calloc((size_t)n + 2, sizeof(int64_t));
    int64_t *cutoff = malloc((size_t)job->rows * sizeof(int64_t) + 1), *at = malloc((size_t)(n + 1) * sizeof(int64_t));
    int64_t *spare = malloc((size_t)job->rows * sizeof(int64_t) + 1), *run = malloc((size_t)(job->rows + 1) * sizeof(int64_t));
    accounts->cutoff = cutoff;
    if (accounts->from == NULL || cutoff == NULL || at == NULL || spare == NULL || run == NULL)
        goto failed;
    for (int64_t e = 0; e < job->n_entities; e++) {
        int64_t account = job->account_of[job->entity[e]];
        if (account >= 0 && account < n)
            accounts->from[account + 1] += job->entity_from[e + 1] - job->entity_from[e];
    }
    for (int64_t a = 0; a < n; a++) {
        at[a] = asked;
        asked += accounts->from[a + 1];
        accounts->from[a + 1] = asked;
    }
    for (int64_t e = 0; e < job->n_entities; e++) {
        int64_t account = job->account_of[job->entity[e]], from = job->entity_from[e], length = job->entity_from[e + 1] - from;
        if (account < 0 || account >= n || at[account] + length > accounts->from[account + 1])
            continue;
        memcpy(cutoff + at[account], job->cutoff + from, (size_t)length * sizeof(int64_t));
        at[account] += length;
    }
    int64_t kept = 0;
    for (int64_t a = 0, from = 0; a < n; a++) {
        int64_t to = accounts->from[a + 1], length = distinct(cutoff + from, to - from, spare, run);
        memmove(cutoff + kept, cutoff + from, (size_t)length * sizeof(int64_t));
        from = to;
        accounts->from[a] = kept;
        kept += length;
    }
    accounts->from[n] = kept;
    accounts->n_cutoffs = kept;
    accounts->count = calloc((size_t)(kept + n + 1) * (size_t)(job->program->h.n_slots + 1), sizeof(int32_t));
    if (accounts->count == NULL)
        goto failed;
    free(at);
    free(spare);
    free(run);
    return 0;
failed:
    free(at);
    free(spare);
    free(run);
    return -1;
}

/* When all that had happened with a row was known. */
static inline int64_t known_at(const Log *log, int64_t row)
{
    int64_t time = log->time[row];
    return log->visible && log->visible[row] > time ? log->visible[row] : time;
}

/* Whether the row is in some window at some cutoff; most rows are older than the first, if only by little. */
static inline int counts(const Job *job, int64_t account, int64_t row)
{
    const Accounts *accounts = &job->accounts;
    int64_t from = accounts->from[account], to = accounts->from[account + 1];
    if (from == to || known_at(job->log, row) >= accounts->cutoff[to - 1])
        return 0;
    /* Cutoffs stay within 2^62, so that the longest finite window can be taken from them. */
    return job->program->widest == INT64_MAX || job->log->time[row] >= accounts->cutoff[from] - job->program->widest;
}

static void add_row(const Job *job, int64_t account, int64_t row, const uint16_t *key, int64_t n)
{
    const Program *p = job->program;
    const Accounts *accounts = &job->accounts;
    int64_t from = accounts->from[account], length = accounts->from[account + 1] - from, end[MAX_LANES];
    const int64_t *cutoff = accounts->cutoff + from, slots = p->h.n_slots;
    int64_t time = job->log->time[row], begin = above(cutoff, length, known_at(job->log, row));
    int32_t *count = accounts->count + (from + account) * slots;
    for (int64_t w = 0; w < p->n_lanes; w++)
        end[w] = -1;
    for (int64_t i = 0; i < n; i++) {
        for (int32_t j = p->peer_from[key[i]]; j < p->peer_from[key[i] + 1]; j++) {
            int32_t lane = p->peer_lane[j], slot = p->peer_slot[j];
            if (end[lane] < 0)
                end[lane] = p->lane[lane] == INT64_MAX || time > INT64_MAX - p->lane[lane]
                                ? length
                                : above(cutoff, length, time + p->lane[lane]);
            if (begin < end[lane]) {
                count[begin * slots + slot]++;
                count[end[lane] * slots + slot]--;
            }
        }
    }
}

int count_accounts(const Job *job, int64_t part, int64_t parts)
{
    const Log *log = job->log;
    const Accounts *accounts = &job->accounts;
    const int64_t slots = job->program->h.n_slots;
    /* Every part reads all rows and keeps those of its own accounts: nothing is shared, and reading is cheap. */
    int64_t low = accounts->n_accounts * part / parts, high = accounts->n_accounts * (part + 1) / parts;
    Scratch s = {0};
    for (int64_t i = 0; i < log->n; i++) {
        uint64_t actor = (uint64_t)log->actor[i];
        if (actor >= (uint64_t)job->n_account_of)
            continue;
        int64_t account = job->account_of[actor];
        if (account < low || account >= high || !counts(job, account, i))
            continue;
        int64_t n = emit(job->program, log, i, ACCOUNT, &s);
        if (n < 0) {
            free(s.emitted);
            return -1;
        }
        if (n)
            add_row(job, account, i, s.emitted, n);
    }
    free(s.emitted);
    for (int64_t a = low; a < high; a++) {
        int32_t *count = accounts->count + (accounts->from[a] + a) * slots;
        for (int64_t i = slots; i < (accounts->from[a + 1] - accounts->from[a] + 1) * slots; i++)
            count[i] += count[i - slots];
    }
    return 0;
}
