/* The parts of the sweep: a program (plan), a log, an index of its rows, a job (observations), and scratch for one thread.

   Programs, logs and indexes never change once they are built, so threads share them. A job hands out chunks of members
   by an atomic counter; each observation is written by one thread. */
#ifndef LEADLIGHT_SWEEP_H
#define LEADLIGHT_SWEEP_H

#include "native.h"

#include <stdatomic.h>

#define MAX_LANES 32
#define FEW_TAGS 8
#define SLACK 4 /* keys that are read, and written, beyond the end of a list */
#define ATTRIBUTES 7 /* 0 is none: keys that ask for the action alone */
#define INLINE_KEYS 7
#define FEW_SUMS 4 /* so many fit into the flags of an event */
#define NONE_ INT64_MIN

enum { BASE, TAG, GROUP, ROLE, JOB_FUNCTION, FIELD, SAME_DOMAIN };
enum { GIVEN, RECEIVED, ACCOUNT, SIDES };

/* Operations of a column; program.py holds the same table. */
enum {
    OP_MISSING, OP_CELL, OP_COUNT, OP_SUM_DURATION, OP_RECENCY, OP_FIRST_TIME, OP_TREND, OP_RATIO, OP_DISTINCT,
    OP_ENTROPY, OP_VISITS_PER_MONTH, OP_LAST_VISIT, OP_COMPLETENESS, OP_SURPRISE, OP_PEERS, OP_TENURE, OPERATIONS
};

/* What a column needs of log and call; bit a (1..6) is the attribute of that number. */
enum { NEEDS_OTHER = 1 << 7, NEEDS_DURATION = 1 << 8, NEEDS_FILLED = 1 << 9, NEEDS_ACCOUNT = 1 << 10, NEEDS_JOINED = 1 << 11 };

/* Why a program keeps rows that no key counts. */
enum { KEEP_GIVEN = 1, KEEP_RECEIVED = 2, USES_RECEIVED = 4, USES_FILLED = 8, USES_DURATION = 16 };

typedef struct {
    int64_t op, needs, lane, other_lane, from, to, split, window;
} Column;

typedef struct {
    int64_t n_cells;   /* rows of the state: one for each distinct key, one for the starts of visits */
    int64_t visits;    /* the cell of visits, -1 where no column asks */
    int64_t gap, keep; /* session gap; KEEP_* and USES_* */
    int64_t n_sums;    /* keys whose durations are summed */
    int64_t n_peers, n_slots; /* keys and (key, window) pairs of accounts */
    int64_t n_actions; /* actions that the plan names */
    int64_t values[ATTRIBUTES]; /* entries of each attribute that the plan names */
} Header;

/* A column that is one cell of the state, and one that is the sum of two: too many, and too small, to be dispatched. */
typedef struct {
    int32_t column, source;
} Single;

typedef struct {
    int32_t column, first, second;
} Pair;

/* What changed since the cutoff before, and what a column depends on: the lanes in which a row of each side came or went, and
   the bits below. */
typedef struct {
    uint32_t lanes[2], more;
} Changes;

enum {
    ENTERED = 1, /* any row came */
    ALWAYS = 2,  /* the cutoff itself matters */
    FIRST = 4    /* it is the first cutoff of a member */
};

/* Columns of distinct entries and of entropy over one list of keys, in one lane: they share what is summed over it. */
typedef struct {
    int64_t from, to, lane;
    int64_t distinct, entropy; /* the columns, -1 for none */
    Changes reads;
} Family;

/* Any other column. */
typedef struct {
    const Column *column;
    int64_t at; /* its position in a row */
    Changes reads;
    int lacking; /* the log or the call cannot give it */
} Derived;

#define GROUPS (2 * MAX_LANES) /* of cells that change together: side * MAX_LANES + lane */

typedef struct {
    Header h;
    int64_t have; /* what log and call give: bits as those of NEEDS_* */
    int64_t n_lanes, n_finite, n_columns, n_keys;
    uint8_t *sides;   /* of each cell: bit s, rows of side s count; inside `reads` */
    Single *single;   /* by group */
    int64_t single_from[GROUPS + 1];
    Pair *pair;       /* by group */
    int64_t pair_from[GROUPS + 1];
    Single *recent;   /* recencies: columns and cells */
    Family *family;
    Derived *derived; /* by operation */
    int64_t n_recent, n_families, n_derived;
    void *columns_memory;
    const int64_t *lane;     /* ascending; INT64_MAX is everything before the cutoff */
    const Column *column;
    const int32_t *key;      /* cells of the columns, and slots of accounts */
    const int16_t *sum_of;   /* cell -> row of the duration sums, -1 for none */
    const int32_t *peer_from, *peer_lane, *peer_slot; /* key of an account -> its lanes and slots */
    const int32_t *emit_from[ATTRIBUTES]; /* (side, action, value) -> keys, see program.py */
    const uint16_t *emit_key[ATTRIBUTES];
    int64_t most[ATTRIBUTES]; /* longest list of each attribute */
    int64_t room;             /* keys of a row with few tags, at most */
    uint8_t *of_completeness; /* cells, inside `reads` */
    uint8_t *reads; /* (side, action) -> bit a: some key asks for attribute a; bit 0: a column asks whether it was filled */
    const uint16_t *action_of; /* code of the log -> action of the plan, 0 for all others */
    int64_t n_action_of;
    const uint16_t *value_of[ATTRIBUTES];
    int64_t n_value_of[ATTRIBUTES];
    int asks_peers;
    int64_t widest; /* longest window of the accounts */
    int64_t visits_row;        /* the row of the state that counts visits: where no column asks, one that nobody reads */
    uint16_t pad[INLINE_KEYS + 1]; /* keys that fill up an event, of rows that nobody reads */
    void *memory;
} Program;

typedef struct {
    Py_buffer view[16];
    int n_views;
    int64_t n, n_tags, largest, earliest; /* largest code of a member, earliest time */
    const int64_t *actor, *time, *visible, *other, *duration, *tag_from;
    const int32_t *action, *code[ATTRIBUTES]; /* code[TAG] is the flat list of tags */
    const uint8_t *filled, *same_domain;
} Log;

/* Rows grouped by ranges of members, each list in the order of the log; the top bit marks what the member received. */
typedef struct {
    int64_t n_members, n_chunks, largest; /* largest: most entries of one member */
    uint32_t *count; /* entries of each member */
    int64_t *first;  /* n_chunks + 1: first member of each chunk; the last chunk is open */
    int64_t *from;   /* n_chunks + 1: its entries */
    uint32_t *entry;
} Index;

#define TOP_BIT 0x80000000u

typedef struct {
    int64_t n_accounts;
    int64_t *from;     /* n_accounts + 1: numbers distinct cutoffs, those of account a from from[a] to before from[a + 1] */
    int64_t *list;     /* where the cutoffs of an account begin in `cutoff`; accounts with equal ones share them */
    int64_t *cutoff;
    int32_t *count;    /* (from[a] + a + i) * n_slots: counts at cutoff i of account a; one row more than cutoffs */
} Accounts;

/* What the member's rows amount to that the log no longer holds: start.py. Arrays of [cells], the sums of [n_sums]. */
typedef struct {
    int64_t rows;
    const int32_t *count;
    const int64_t *last, *duration; /* newest time of each cell; sums of durations */
    const uint8_t *filled;
    int64_t first[2], newest, newest_duration, visit; /* NONE_ where there is none */
} Start;

typedef struct {
    PyObject *owner[3]; /* program, log, index */
    const Program *program;
    const Log *log;
    const Index *index;
    Py_buffer view[6];
    int n_views;
    int64_t rows, n_entities, n_account_of, n_xlog;
    const int64_t *joined, *account_of, *xlog;
    float *out;
    uint32_t *row;     /* observations sorted by entity, then cutoff */
    int64_t *cutoff;
    int64_t *entity, *entity_from; /* distinct entities, ascending; their observations */
    Accounts accounts;
    int far;           /* the result is larger than the caches: it is written past them */
    const Start *start; /* `folded`, or NULL where the log holds everything */
    Start folded;
    void *folded_memory;
    atomic_llong next, table; /* next chunk; size that the table of x log2 x would have to have */
} Job;

/* One row of the log as the sweep sees it: 32 bytes, its keys inside unless there are many. */
typedef struct {
    int64_t time, duration;
    uint8_t many, flags;
    uint16_t key[INLINE_KEYS]; /* `many`: key[0..1] is a position in `more`, key[2..3] the number of keys */
} Event;

/* F_FIELD: some key of the row is asked whether its field was filled. F_SUMMED and the bits above: which sums of durations
   the row adds to, a bit each where they are few. */
enum { F_RECEIVED = 1, F_FILLED = 2, F_START = 4, F_FIELD = 8, F_SUMMED = 16 };

typedef struct {
    int64_t from, at, end; /* events of a member in its part of the chunk: [from, at), room up to end */
    uint8_t unsorted, late;
} Slot;

/* Consecutive observed members of a chunk whose events fit into the nearer caches. */
typedef struct {
    int64_t entity;        /* the first of them */
    int64_t from, at, end; /* events in the order of the log */
} Part;

typedef struct {
    Event *event; int64_t event_room; /* of the chunk, part by part in the order of the log, with member and visibility */
    int32_t *who; int64_t who_room; /* member of the chunk */
    int64_t *visible; int64_t visible_room;
    Part *part; int64_t part_room;
    uint16_t *part_of; int64_t part_of_room; /* member of the chunk -> part, from 1; 0 for those not observed */
    Event *placed; int64_t placed_room;      /* of one part, by member */
    int64_t *placed_visible; int64_t placed_visible_room;
    uint16_t *more; int64_t n_more, more_room;
    uint16_t *emitted; int64_t emitted_room;
    Slot *slot; int64_t slot_room;
    int32_t *slot_of; int64_t slot_of_room;
    Event *spare; int64_t spare_room;
    int64_t *spare_visible; int64_t spare_visible_room;
    int32_t *hidden; int64_t hidden_room;
    char *state; int64_t state_room;
} Scratch;

/* 1 if there is room, 0 where memory ends. Keeps the content. */
int grow(void **memory, int64_t *room, int64_t wanted, size_t size);
#define GROW(s, name, wanted) grow((void **)&(s)->name, &(s)->name##_room, (wanted), sizeof(*(s)->name))

/* Bounded reads: arrays of the log may be changed by others while they are read. */
int64_t emit(const Program *p, const Log *log, int64_t row, int side, Scratch *s); /* keys in s->emitted, -1: no memory */

/* Objects for Python to hold: NULL with an exception where an argument is not sound. */
Program *make_program(PyObject *parts, int64_t have);
Log *make_log(PyObject *arrays, PyObject *entries);
Index *make_index(const Log *log, int received);
Job *make_job(const Program *program, const Log *log, const Index *index, PyObject **arrays);
void release_program(Program *p);
void release_log(Log *log);
void release_index(Index *x);
void release_job(Job *job);
void clear_scratch(Scratch *s);
void release_scratch(Scratch *s);

static inline int refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

static inline void *no_memory(void) { return PyErr_NoMemory(); }

int index_log(const Log *log, Index *index, int received);
int sort_observations(Job *job, const int64_t *entity, const int64_t *cutoff);
int prepare_accounts(Job *job);
int count_accounts(const Job *job, int64_t part, int64_t parts);
void finish_rows(void); /* what was written past the caches is there for all threads */
int sweep_chunk(Job *job, int64_t chunk, Scratch *s);
int sweep_member(Job *job, Scratch *s, const Start *start, Event *event, int64_t n, int64_t entity, int64_t from, int64_t to,
                 const int32_t *hidden);

/* Lanes of a row of the state: a number that the compiler knows. */
static inline int sweep_width(const Program *p) { return p->n_lanes <= 8 ? 8 : p->n_lanes <= 16 ? 16 : 32; }

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch((address), 1)
#define FETCH_READ(address) __builtin_prefetch((address), 0)
#else
#define FETCH(address) ((void)(address))
#define FETCH_READ(address) ((void)(address))
#endif

static inline int touches(const Changes *changed, const Changes *reads)
{
    return ((changed->lanes[0] & reads->lanes[0]) | (changed->lanes[1] & reads->lanes[1]) | (changed->more & reads->more)) != 0;
}

static inline int64_t minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t plus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

/* Position of the first value above x, among n ascending; without branches, for nobody foresees where x falls. */
static inline int64_t above(const int64_t *values, int64_t n, int64_t x)
{
    const int64_t *low = values;
    while (n > 1) {
        int64_t half = n / 2;
        low = low[half - 1] <= x ? low + half : low;
        n -= half;
    }
    return low - values + (n == 1 && *low <= x);
}

#endif
