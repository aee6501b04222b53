/* A chunk of members: its rows become events with small integer keys, side by side for each member, then are swept.

   Rows come in the order of the log, so that to put each with its member at once is to miss the caches at each. Events go
   to parts of the chunk first, a few streams that are written from end to end, and by member within a part, which fits. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 12 /* entries between fetching a row and reading it */
#define PART_EVENTS (1 << 14)
#define MOST_PARTS 1024

/* Append the keys that (side, action, value) emits. */
static inline int64_t add(const Program *p, int attribute, int side, int64_t action, int64_t value, uint16_t *to, int64_t n)
{
    int64_t cell = (side * (p->h.n_actions + 1) + action) * p->h.values[attribute] + value;
    const int32_t *from = p->emit_from[attribute] + cell;
    const uint16_t *key = p->emit_key[attribute] + from[0];
    const int64_t count = from[1] - from[0];
    memcpy(to + n, key, SLACK * sizeof(uint16_t)); /* lists are short: no branch that depends on their length */
    for (int64_t i = SLACK; i < count; i++)
        to[n + i] = key[i];
    return n + count;
}

/* The plan's number of a code of the log, 0 where it names none. */
static inline int64_t value_of(const Program *p, int attribute, int32_t code)
{
    return (uint64_t)(int64_t)code < (uint64_t)p->n_value_of[attribute] ? p->value_of[attribute][code] : 0;
}

static int repeated(const int32_t *codes, int64_t i)
{
    for (int64_t j = 0; j < i; j++)
        if (codes[j] == codes[i])
            return 1;
    return 0;
}

#define TOO_MANY (-2)

/* Keys of the row's tags; TOO_MANY where `to` has no room for those of so many tags. */
static int64_t add_tags(const Program *p, const Log *log, int64_t row, int side, int64_t action, uint16_t *to, int64_t n,
                        int64_t most)
{
    int64_t from = log->tag_from[row], end = log->tag_from[row + 1];
    if (from < 0 || end > log->n_tags || from >= end)
        return n;
    if (end - from > most)
        return TOO_MANY;
    const int32_t *codes = log->code[TAG] + from;
    int32_t top = -1;
    for (int64_t i = 0; i < end - from; i++) {
        int32_t code = codes[i];
        int64_t value = value_of(p, TAG, code);
        if (code <= top && repeated(codes, i))
            continue;
        top = code > top ? code : top;
        if (value)
            n = add(p, TAG, side, action, value - 1, to, n);
    }
    return n;
}

/* Write the keys of a row; `to` has room for `room` keys of the plan and those of `most` tags. */
static inline int64_t write_keys(const Program *p, const Log *log, int64_t row, int side, uint16_t *to, int64_t most,
                                 uint8_t *reads)
{
    int64_t n = 0, action = 0;
    uint64_t code = (uint64_t)(int64_t)log->action[row];
    if (code < (uint64_t)p->n_action_of)
        action = p->action_of[code];
    *reads = p->reads[side * (p->h.n_actions + 1) + action];
    n = add(p, BASE, side, action, 0, to, n);
    if (log->tag_from && *reads >> TAG & 1 && (n = add_tags(p, log, row, side, action, to, n, most)) < 0)
        return n;
    for (int a = GROUP; a <= FIELD; a++) {
        if (*reads >> a & 1 && log->code[a]) {
            int64_t value = value_of(p, a, log->code[a][row]);
            if (value)
                n = add(p, a, side, action, value - 1, to, n);
        }
    }
    if (*reads >> SAME_DOMAIN & 1 && log->same_domain && log->same_domain[row])
        n = add(p, SAME_DOMAIN, side, action, 0, to, n);
    return n;
}

int64_t emit(const Program *p, const Log *log, int64_t row, int side, Scratch *s)
{
    uint8_t reads;
    if (p->room > s->emitted_room && !GROW(s, emitted, p->room))
        return -1;
    int64_t n = write_keys(p, log, row, side, s->emitted, FEW_TAGS, &reads);
    if (n != TOO_MANY)
        return n;
    /* A row whose tags change meanwhile has no more of them than there was room for. */
    const int64_t most = log->tag_from[row + 1] - log->tag_from[row];
    if (most < 0 || most > log->n_tags || !GROW(s, emitted, p->room + most * p->most[TAG]))
        return -1;
    n = write_keys(p, log, row, side, s->emitted, most, &reads);
    return n == TOO_MANY ? 0 : n;
}

static inline int before(const Event *a, const Event *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->duration != b->duration)
        return a->duration < b->duration;
    return (a->flags & F_FILLED) < (b->flags & F_FILLED);
}

/* Merge sort of events, and of when they became visible along with them. */
static int sort_events(Scratch *s, Event *event, int64_t *visible, int64_t n)
{
    if (!GROW(s, spare, n) || (visible && !GROW(s, spare_visible, n)))
        return -1;
    Event *from = event, *to = s->spare;
    int64_t *seen_from = visible, *seen_to = s->spare_visible;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t left = 0; left < n; left += 2 * width) {
            int64_t middle = left + width < n ? left + width : n, right = middle + width < n ? middle + width : n;
            int64_t i = left, j = middle;
            for (int64_t k = left; k < right; k++) {
                int64_t take = j >= right || (i < middle && !before(&from[j], &from[i])) ? i++ : j++;
                to[k] = from[take];
                if (visible)
                    seen_to[k] = seen_from[take];
            }
        }
        Event *swap = from;
        from = to;
        to = swap;
        int64_t *seen_swap = seen_from;
        seen_from = seen_to;
        seen_to = seen_swap;
    }
    if (from != event) {
        memcpy(event, from, (size_t)n * sizeof(Event));
        if (visible)
            memcpy(visible, seen_from, (size_t)n * sizeof(int64_t));
    }
    return 0;
}

/* Rows of a chunk have gaps between them, which the hardware does not foresee. */
static inline void fetch_row(const Log *log, uint32_t entry)
{
    int64_t row = entry & ~TOP_BIT;
    FETCH_READ(&log->time[row]);
    FETCH_READ(entry & TOP_BIT ? &log->other[row] : &log->actor[row]);
    FETCH_READ(&log->action[row]);
    if (log->duration)
        FETCH_READ(&log->duration[row]);
    if (log->tag_from)
        FETCH_READ(&log->tag_from[row]);
}

static int many_keys(Scratch *s, Event *event, const uint16_t *key, int64_t n)
{
    uint32_t at = (uint32_t)s->n_more, many = (uint32_t)n;
    if (n > UINT32_MAX || s->n_more + n > UINT32_MAX || !GROW(s, more, s->n_more + n))
        return -1;
    memcpy(s->more + at, key, (size_t)n * sizeof(uint16_t));
    s->n_more += n;
    event->many = 1;
    memcpy(event->key, &at, sizeof(at));
    memcpy(event->key + 2, &many, sizeof(many));
    return 0;
}

/* Events of room behind a part: keys are written where they stay, and may reach beyond. */
static int64_t slack(const Program *p) { return p->room * (int64_t)sizeof(uint16_t) / (int64_t)sizeof(Event) + 1; }

/* Turn one entry of the index into an event of its part. */
static int pack_entry(const Job *job, uint32_t entry, int64_t first, int64_t members, Scratch *s)
{
    const Program *p = job->program;
    const Log *log = job->log;
    int64_t row = entry & ~TOP_BIT;
    int side = entry & TOP_BIT ? RECEIVED : GIVEN;
    uint64_t local = (uint64_t)(side == RECEIVED ? log->other[row] : log->actor[row]) - (uint64_t)first;
    if (local >= (uint64_t)members || s->part_of[local] == 0)
        return 0;
    Part *part = &s->part[s->part_of[local] - 1];
    if (part->at >= part->end)
        return 0;
    /* Keys are written where they stay: what was just written in pieces cannot be read as a whole, and so not be copied,
       before it has left the store buffer. */
    Event *event = &s->event[part->at];
    uint8_t reads;
    uint16_t *key = (uint16_t *)(void *)((char *)event + offsetof(Event, key));
    int64_t n = write_keys(p, log, row, side, key, FEW_TAGS, &reads);
    if (n == TOO_MANY) {
        n = emit(p, log, row, side, s);
        key = s->emitted;
    }
    if (n < 0)
        return -1;
    if (n == 0 && !(p->h.keep & (side == RECEIVED ? KEEP_RECEIVED : KEEP_GIVEN)))
        return 0;
    const int64_t duration = log->duration ? log->duration[row] : 0;
    uint8_t flags = side == RECEIVED ? F_RECEIVED : 0;
    if (reads & 1) {
        flags |= F_FIELD;
        if (log->filled && log->filled[row])
            flags |= F_FILLED;
    }
    if (p->h.n_sums && duration)
        for (int64_t i = 0; i < n; i++) {
            int16_t sum = p->sum_of[key[i]];
            if (sum >= 0)
                flags |= (uint8_t)(F_SUMMED << (p->h.n_sums > FEW_SUMS ? 0 : sum));
        }
    if (n > INLINE_KEYS) {
        if (many_keys(s, event, key, n) < 0)
            return -1;
    } else {
        event->many = 0;
        if (key == s->emitted)
            memcpy(event->key, key, sizeof(event->key));
        memcpy((char *)event + offsetof(Event, key) + (size_t)n * sizeof(uint16_t), p->pad, sizeof(p->pad));
    }
    event->time = log->time[row];
    event->duration = duration;
    event->flags = flags;
    s->who[part->at] = (int32_t)local;
    if (log->visible)
        s->visible[part->at] = log->visible[row];
    part->at++;
    return 0;
}

/* Observations at whose cutoff something had happened and was not yet known: swept alone, over what was known. */
static int sweep_late(Job *job, Scratch *s, const Event *event, const int64_t *visible, int64_t n, int64_t entity, int64_t from,
                      int64_t to)
{
    int64_t asked = to - from;
    const int64_t *cutoff = job->cutoff + from;
    if (!GROW(s, hidden, asked + 1))
        return -1;
    memset(s->hidden, 0, (size_t)(asked + 1) * sizeof(int32_t));
    for (int64_t i = 0; i < n; i++) {
        if (visible[i] > event[i].time) {
            s->hidden[above(cutoff, asked, event[i].time)]++;
            s->hidden[above(cutoff, asked, visible[i])]--;
        }
    }
    for (int64_t q = 1; q < asked; q++)
        s->hidden[q] += s->hidden[q - 1];
    if (!GROW(s, spare, n))
        return -1;
    for (int64_t q = 0; q < asked; q++) {
        if (!s->hidden[q])
            continue;
        int64_t known = 0;
        for (int64_t i = 0; i < n; i++)
            if (event[i].time < cutoff[q] && visible[i] < cutoff[q])
                s->spare[known++] = event[i];
        if (sweep_member(job, s, job->start, s->spare, known, entity, from + q, from + q + 1, NULL) < 0)
            return -1;
    }
    return 0;
}

/* First of the observed entities that is not below a member. */
static int64_t entity_at(const Job *job, int64_t member)
{
    return member == INT64_MIN ? 0 : above(job->entity, job->n_entities, member - 1);
}

/* Put the events of a part side by side for each member; events of a single member are there already. */
static int place(const Job *job, Scratch *s, const Part *part, int single)
{
    const int64_t room = part->end - part->from;
    const int seen = job->log->visible != NULL;
    if (!single && (!GROW(s, placed, room) || (seen && !GROW(s, placed_visible, room))))
        return -1;
    Event *to = single ? s->event + part->from : s->placed;
    int64_t *visible_to = !seen ? NULL : single ? s->visible + part->from : s->placed_visible;
    for (int64_t i = part->from; i < part->at; i++) {
        Slot *slot = &s->slot[s->slot_of[s->who[i]]];
        if (slot->at >= slot->end)
            continue;
        Event *event = &to[slot->at];
        if (!single)
            *event = s->event[i];
        if (slot->at > slot->from && before(event, event - 1))
            slot->unsorted = 1;
        if (seen) {
            visible_to[slot->at] = s->visible[i];
            slot->late |= s->visible[i] > event->time;
        }
        slot->at++;
    }
    return 0;
}

/* Cut the observed members of a chunk into parts of about PART_EVENTS; return the number of parts, -1: no memory. */
static int64_t make_parts(const Job *job, Scratch *s, int64_t first, int64_t members, int64_t begin, int64_t end)
{
    const Index *x = job->index;
    int64_t parts = 0, room = 0;
    if (!GROW(s, slot, end - begin) || !GROW(s, slot_of, members + 1) || !GROW(s, part_of, members + 1) ||
        !GROW(s, part, MOST_PARTS + 1))
        return -1;
    memset(s->part_of, 0, (size_t)(members + 1) * sizeof(uint16_t));
    for (int64_t e = begin; e < end; e++) {
        const int64_t member = job->entity[e], n = member < x->n_members ? x->count[member] : 0;
        if (e == begin || (room + n - s->part[parts - 1].from > PART_EVENTS && parts < MOST_PARTS)) {
            room += parts ? slack(job->program) : 0;
            s->part[parts++] = (Part){e, room, room, room};
        }
        Part *part = &s->part[parts - 1];
        const int64_t at = room - part->from;
        s->slot[e - begin] = (Slot){at, at, at + n, 0, 0};
        if (n) {
            s->part_of[member - first] = (uint16_t)parts;
            s->slot_of[member - first] = (int32_t)(e - begin);
        }
        part->end = room += n;
    }
    s->part[parts].entity = end;
    return parts;
}

int sweep_chunk(Job *job, int64_t chunk, Scratch *s)
{
    const Index *x = job->index;
    const Log *log = job->log;
    int64_t first = x->first[chunk], last = x->first[chunk + 1];
    int64_t begin = entity_at(job, first), end = entity_at(job, last);
    if (begin == end)
        return 0;
    int64_t members = (last < x->n_members ? last : x->n_members) - first;
    int64_t parts = make_parts(job, s, first, members, begin, end);
    if (parts < 0)
        return -1;
    const int64_t room = s->part[parts - 1].end + slack(job->program);
    s->n_more = 0;
    if (!GROW(s, event, room) || !GROW(s, who, room) || (log->visible && !GROW(s, visible, room)))
        return -1;
    if (s->part[parts - 1].end)
        for (int64_t i = x->from[chunk], to = x->from[chunk + 1]; i < to; i++) {
            if (to - i > 2 * AHEAD) {
                fetch_row(log, x->entry[i + 2 * AHEAD]);
                if (log->tag_from)
                    FETCH_READ(log->code[TAG] + log->tag_from[x->entry[i + AHEAD] & ~TOP_BIT]);
            }
            if (pack_entry(job, x->entry[i], first, members, s) < 0)
                return -1;
        }
    for (int64_t k = 0; k < parts; k++) {
        const Part *part = &s->part[k];
        const int64_t stop = s->part[k + 1].entity;
        const int single = stop - part->entity == 1;
        if (place(job, s, part, single) < 0)
            return -1;
        for (int64_t e = part->entity; e < stop; e++) {
            const Slot *slot = &s->slot[e - begin];
            const int64_t n = slot->at - slot->from, from = job->entity_from[e], to = job->entity_from[e + 1];
            Event *event = (single ? s->event + part->from : s->placed) + slot->from;
            int64_t *visible = !log->visible ? NULL : (single ? s->visible + part->from : s->placed_visible) + slot->from;
            if (slot->unsorted && sort_events(s, event, visible, n) < 0)
                return -1;
            if (slot->late && sweep_late(job, s, event, visible, n, job->entity[e], from, to) < 0)
                return -1;
            if (sweep_member(job, s, job->start, event, n, job->entity[e], from, to, slot->late ? s->hidden : NULL) < 0)
                return -1;
        }
    }
    finish_rows();
    return 0;
}

void clear_scratch(Scratch *s)
{
    free(s->event);
    free(s->who);
    free(s->visible);
    free(s->part);
    free(s->part_of);
    free(s->placed);
    free(s->placed_visible);
    free(s->more);
    free(s->emitted);
    free(s->slot);
    free(s->slot_of);
    free(s->spare);
    free(s->spare_visible);
    free(s->hidden);
    free(s->state);
}

void release_scratch(Scratch *s)
{
    clear_scratch(s);
    free(s);
}
