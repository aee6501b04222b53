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
    accounts->list = calloc((size_t)n + 1, sizeof(int64_t));
    int64_t *cutoff = malloc((size_t)job->rows * sizeof(int64_t) + 1), *at = malloc((size_t)(n + 1) * sizeof(int64_t));
    int64_t *spare = malloc((size_t)job->rows * sizeof(int64_t) + 1), *run = malloc((size_t)(job->rows + 1) * sizeof(int64_t));
    accounts->cutoff = cutoff;
    if (accounts->from == NULL || accounts->list == NULL || cutoff == NULL || at == NULL || spare == NULL || run == NULL)
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
    int64_t kept = 0, held = 0, newest = 0;
    for (int64_t a = 0, from = 0; a < n; a++) {
        int64_t to = accounts->from[a + 1], length = distinct(cutoff + from, to - from, spare, run);
        /* Most accounts are asked for at the same cutoffs as the one before. */
        if (length && (length != held - newest || memcmp(cutoff + newest, cutoff + from, (size_t)length * sizeof(int64_t)) != 0)) {
            memmove(cutoff + held, cutoff + from, (size_t)length * sizeof(int64_t));
            newest = held;
            held += length;
        }
        accounts->list[a] = newest;
        from = to;
        accounts->from[a] = kept;
        kept += length;
    }
    accounts->from[n] = kept;
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

/* A row of the log that counts for its account: where its cutoffs and its counts begin, and the first cutoff that sees it. */
typedef struct {
    const int64_t *cutoff;
    int32_t *count;
    int64_t row, length, begin;
} Counted;

#define AT_ONCE 16 /* rows whose counts are fetched before the first is added */

/* As `above`, with a guess: rows come by time, and most accounts have the same cutoffs. */
static inline int64_t above_near(const int64_t *values, int64_t n, int64_t x, int64_t *guess)
{
    const int64_t g = *guess;
    if (g <= n && (g == 0 || values[g - 1] <= x) && (g == n || values[g] > x))
        return g;
    return *guess = above(values, n, x);
}

/* Whether the row is in some window at some cutoff; most rows are older than the first, if only by little. */
static inline int counts(const Job *job, int64_t account, int64_t row, Counted *found, int64_t *guess)
{
    const Accounts *accounts = &job->accounts;
    const int64_t from = accounts->from[account], length = accounts->from[account + 1] - from, known = known_at(job->log, row);
    const int64_t *cutoff = accounts->cutoff + accounts->list[account];
    if (length == 0 || known >= cutoff[length - 1])
        return 0;
    /* Cutoffs stay within 2^62, so that the longest finite window can be taken from them. */
    if (job->program->widest != INT64_MAX && job->log->time[row] < cutoff[0] - job->program->widest)
        return 0;
    const int64_t slots = job->program->h.n_slots, begin = above_near(cutoff, length, known, guess);
    *found = (Counted){cutoff, accounts->count + (from + account) * slots, row, length, begin};
    FETCH(found->count + begin * slots);
    FETCH(found->count + begin * slots + slots * 2);
    return 1;
}

static void add_row(const Job *job, const Counted *c, const uint16_t *key, int64_t n, int64_t *guess)
{
    const Program *p = job->program;
    const int64_t slots = p->h.n_slots, time = job->log->time[c->row];
    uint32_t known = 0;
    int64_t end[MAX_LANES];
    for (int64_t i = 0; i < n; i++) {
        for (int32_t j = p->peer_from[key[i]]; j < p->peer_from[key[i] + 1]; j++) {
            int32_t lane = p->peer_lane[j], slot = p->peer_slot[j];
            if (!(known >> lane & 1)) {
                known |= (uint32_t)1 << lane;
                end[lane] = p->lane[lane] == INT64_MAX || time > INT64_MAX - p->lane[lane]
                                ? c->length
                                : above_near(c->cutoff, c->length, time + p->lane[lane], &guess[lane]);
            }
            if (c->begin < end[lane]) {
                c->count[c->begin * slots + slot]++;
                c->count[end[lane] * slots + slot]--;
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
    int64_t begins = 0, ends[MAX_LANES] = {0};
    Counted found[AT_ONCE];
    Scratch s = {0};
    for (int64_t i = 0; i < log->n;) {
        int waiting = 0;
        for (; i < log->n && waiting < AT_ONCE; i++) {
            uint64_t actor = (uint64_t)log->actor[i];
            if (actor >= (uint64_t)job->n_account_of)
                continue;
            int64_t account = job->account_of[actor];
            if (account >= low && account < high)
                waiting += counts(job, account, i, &found[waiting], &begins);
        }
        for (int k = 0; k < waiting; k++) {
            int64_t n = emit(job->program, log, found[k].row, ACCOUNT, &s);
            if (n < 0) {
                free(s.emitted);
                return -1;
            }
            if (n)
                add_row(job, &found[k], s.emitted, n, ends);
        }
    }
    free(s.emitted);
    for (int64_t a = low; a < high; a++) {
        int32_t *count = accounts->count + (accounts->from[a] + a) * slots;
        for (int64_t i = slots; i < (accounts->from[a + 1] - accounts->from[a] + 1) * slots; i++)
            count[i] += count[i - slots];
    }
    return 0;
}
