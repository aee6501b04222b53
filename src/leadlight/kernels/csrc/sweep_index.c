/* Rows of the log by ranges of members, and observations by member and cutoff: counting sorts, and a merge where needed. */
#define _DEFAULT_SOURCE /* madvise */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define CHUNK_ENTRIES (1 << 22)
#define MOST_CHUNKS 4096

#define LARGE_PAGE ((uintptr_t)1 << 21)

/* Events of a chunk are written in the order of time and read by member: with small pages each write misses the TLB. */
static void prefer_large_pages(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1), to = ((uintptr_t)memory + bytes) & ~(LARGE_PAGE - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

int grow(void **memory, int64_t *room, int64_t wanted, size_t size)
{
    if (wanted <= *room)
        return 1;
    int64_t more = wanted + wanted / 4 + 16;
    if (more > (int64_t)(PTRDIFF_MAX / (ptrdiff_t)size))
        return 0;
    void *found = realloc(*memory, (size_t)more * size);
    if (found == NULL)
        return 0;
    *memory = found;
    *room = more;
    prefer_large_pages(found, (size_t)more * size);
    return 1;
}

/* The member of an entry, -1 for none. */
static inline int64_t receiver(const Log *log, int64_t i)
{
    return log->other[i] == log->actor[i] ? -1 : log->other[i];
}

int index_log(const Log *log, Index *x, int received)
{
    int64_t members = log->largest + 1, total = 0;
    memset(x, 0, sizeof(*x));
    received = received && log->other != NULL;
    x->count = calloc((size_t)members + 1, sizeof(uint32_t));
    if (x->count == NULL)
        return -1;
    x->n_members = members;
    for (int64_t i = 0; i < log->n; i++) {
        uint64_t a = (uint64_t)log->actor[i];
        if (a < (uint64_t)members)
            x->count[a]++, total++;
        if (received) {
            uint64_t b = (uint64_t)receiver(log, i);
            if (b < (uint64_t)members)
                x->count[b]++, total++;
        }
    }
    int64_t target = total / MOST_CHUNKS + 1;
    if (target < CHUNK_ENTRIES)
        target = CHUNK_ENTRIES;
    int64_t most = total / target + 2;
    uint16_t *chunk_of = malloc(((size_t)members + 1) * sizeof(uint16_t));
    int64_t *at = NULL;
    x->first = malloc((size_t)(most + 1) * sizeof(int64_t));
    x->from = malloc((size_t)(most + 1) * sizeof(int64_t));
    x->entry = malloc((size_t)(total + 1) * sizeof(uint32_t));
    if (chunk_of == NULL || x->first == NULL || x->from == NULL || x->entry == NULL)
        goto failed;
    int64_t chunk = 0, inside = 0, sum = 0;
    x->first[0] = x->from[0] = 0;
    for (int64_t m = 0; m < members; m++) {
        if (inside >= target) {
            chunk++;
            x->first[chunk] = m;
            x->from[chunk] = sum;
            inside = 0;
        }
        chunk_of[m] = (uint16_t)chunk;
        inside += x->count[m];
        sum += x->count[m];
        if (x->count[m] > x->largest)
            x->largest = x->count[m];
    }
    x->n_chunks = chunk + 1;
    x->first[chunk + 1] = INT64_MAX;
    x->from[chunk + 1] = sum;
    at = malloc((size_t)x->n_chunks * sizeof(int64_t));
    if (at == NULL)
        goto failed;
    memcpy(at, x->from, (size_t)x->n_chunks * sizeof(int64_t));
    for (int64_t i = 0; i < log->n; i++) {
        uint64_t a = (uint64_t)log->actor[i];
        if (a < (uint64_t)members) {
            int64_t c = chunk_of[a];
            if (at[c] < x->from[c + 1])
                x->entry[at[c]++] = (uint32_t)i;
        }
        if (received) {
            uint64_t b = (uint64_t)receiver(log, i);
            if (b < (uint64_t)members) {
                int64_t c = chunk_of[b];
                if (at[c] < x->from[c + 1])
                    x->entry[at[c]++] = (uint32_t)i | TOP_BIT;
            }
        }
    }
    for (int64_t c = 0; c < x->n_chunks; c++) /* only if another thread changed the log meanwhile */
        for (int64_t i = at[c]; i < x->from[c + 1]; i++)
            x->entry[i] = 0;
    free(at);
    free(chunk_of);
    return 0;
failed:
    free(at);
    free(chunk_of);
    return -1;
}

typedef struct {
    int64_t entity, cutoff;
    uint32_t row;
} Asked;

static int compare_asked(const void *left, const void *right)
{
    const Asked *a = left, *b = right;
    if (a->entity != b->entity)
        return a->entity < b->entity ? -1 : 1;
    if (a->cutoff != b->cutoff)
        return a->cutoff < b->cutoff ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int by_comparison(Job *job, const int64_t *entity, const int64_t *cutoff)
{
    Asked *asked = malloc((size_t)job->rows * sizeof(Asked) + 1);
    if (asked == NULL)
        return -1;
    for (int64_t i = 0; i < job->rows; i++)
        asked[i] = (Asked){entity[i], cutoff[i], (uint32_t)i};
    qsort(asked, (size_t)job->rows, sizeof(Asked), compare_asked);
    for (int64_t i = 0; i < job->rows; i++)
        job->row[i] = asked[i].row;
    free(asked);
    return 0;
}

/* Stable, so that observations that come in the order of their cutoffs need no second step. */
static int by_counting(Job *job, const int64_t *entity, int64_t members)
{
    int64_t *at = calloc((size_t)members + 1, sizeof(int64_t));
    if (at == NULL)
        return -1;
    for (int64_t i = 0; i < job->rows; i++)
        at[entity[i] + 1]++;
    for (int64_t m = 0; m < members; m++)
        at[m + 1] += at[m];
    for (int64_t i = 0; i < job->rows; i++)
        job->row[at[entity[i]]++] = (uint32_t)i;
    free(at);
    return 0;
}

static int in_order(const int64_t *entity, const int64_t *cutoff, const uint32_t *row, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        int64_t a = row ? row[i - 1] : i - 1, b = row ? row[i] : i;
        if (entity[a] > entity[b] || (entity[a] == entity[b] && cutoff[a] > cutoff[b]))
            return 0;
    }
    return 1;
}

int sort_observations(Job *job, const int64_t *entity, const int64_t *cutoff)
{
    int64_t n = job->rows, largest = 0;
    job->row = malloc((size_t)n * sizeof(uint32_t) + 1);
    job->cutoff = malloc((size_t)n * sizeof(int64_t) + 1);
    if (job->row == NULL || job->cutoff == NULL)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (entity[i] > largest)
            largest = entity[i];
    if (in_order(entity, cutoff, NULL, n)) {
        for (int64_t i = 0; i < n; i++)
            job->row[i] = (uint32_t)i;
    } else {
        int dense = largest / 8 <= n + 1024;
        if (dense && by_counting(job, entity, largest + 1) < 0)
            return -1;
        if ((!dense || !in_order(entity, cutoff, job->row, n)) && by_comparison(job, entity, cutoff) < 0)
            return -1;
    }
    int64_t distinct = 0;
    for (int64_t i = 0; i < n; i++)
        distinct += i == 0 || entity[job->row[i]] != entity[job->row[i - 1]];
    job->entity = malloc((size_t)distinct * sizeof(int64_t) + 1);
    job->entity_from = malloc((size_t)(distinct + 1) * sizeof(int64_t));
    if (job->entity == NULL || job->entity_from == NULL)
        return -1;
    job->n_entities = distinct;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t e = entity[job->row[i]];
        job->cutoff[i] = cutoff[job->row[i]];
        if (i == 0 || e != job->entity[at]) {
            at++;
            job->entity[at] = e;
            job->entity_from[at] = i;
        }
    }
    job->entity_from[distinct] = n;
    return 0;
}
