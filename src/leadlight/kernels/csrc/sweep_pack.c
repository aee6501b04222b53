/* A chunk of members: its rows become events with small integer keys, side by side for each member, then are swept. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 12 /* entries between fetching a line and writing to it */

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

static int64_t add_tags(const Program *p, const Log *log, int64_t row, int side, int64_t action, Scratch *s, int64_t n,
                        int64_t room)
{
    int64_t from = log->tag_from[row], to = log->tag_from[row + 1];
    if (from < 0 || to > log->n_tags || from >= to)
        return n;
    if (to - from > FEW_TAGS && !GROW(s, emitted, room + (to - from) * p->most[TAG]))
        return -1;
    const int32_t *codes = log->code[TAG] + from;
    int32_t top = -1;
    for (int64_t i = 0; i < to - from; i++) {
        int32_t code = codes[i];
        int64_t value = value_of(p, TAG, code);
        if (code <= top && repeated(codes, i))
            continue;
        top = code > top ? code : top;
        if (value)
            n = add(p, TAG, side, action, value - 1, s->emitted, n);
    }
    return n;
}

int64_t emit(const Program *p, const Log *log, int64_t row, int side, Scratch *s)
{
    int64_t n = 0, action = 0;
    const int64_t room = p->room;
    if (!GROW(s, emitted, room))
        return -1;
    uint64_t code = (uint64_t)(int64_t)log->action[row];
    if (code < (uint64_t)p->n_action_of)
        action = p->action_of[code];
    const uint8_t reads = p->reads[side * (p->h.n_actions + 1) + action];
    s->reads = reads;
    n = add(p, BASE, side, action, 0, s->emitted, n);
    if (log->tag_from && reads >> TAG & 1 && (n = add_tags(p, log, row, side, action, s, n, room)) < 0)
        return -1;
    for (int a = GROUP; a <= FIELD; a++) {
        if (reads >> a & 1 && log->code[a]) {
            int64_t value = value_of(p, a, log->code[a][row]);
            if (value)
                n = add(p, a, side, action, value - 1, s->emitted, n);
        }
    }
    if (reads >> SAME_DOMAIN & 1 && log->same_domain && log->same_domain[row])
        n = add(p, SAME_DOMAIN, side, action, 0, s->emitted, n);
    return n;
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
    FETCH_READ(&log->actor[row]);
    FETCH_READ(&log->action[row]);
    if (entry & TOP_BIT)
        FETCH_READ(&log->other[row]);
    if (log->duration)
        FETCH_READ(&log->duration[row]);
    if (log->tag_from)
        FETCH_READ(&log->tag_from[row]);
}

/* Where the event of an entry will go, and its tags; what is not there cannot be fetched, and does no harm. */
static inline void fetch_event(const Log *log, uint32_t entry, int64_t first, int64_t members, const Scratch *s)
{
    if (log->tag_from)
        FETCH_READ(log->code[TAG] + log->tag_from[entry & ~TOP_BIT]);
    int64_t row = entry & ~TOP_BIT;
    uint64_t local = (uint64_t)(entry & TOP_BIT ? log->other[row] : log->actor[row]) - (uint64_t)first;
    if (local < (uint64_t)members && s->slot_of[local])
        FETCH(&s->event[s->slot[s->slot_of[local] - 1].at]);
}

/* Turn one entry of the index into an event of its member. */
static int pack_entry(const Job *job, uint32_t entry, int64_t first, int64_t members, Scratch *s)
{
    const Program *p = job->program;
    const Log *log = job->log;
    int64_t row = entry & ~TOP_BIT;
    int side = entry & TOP_BIT ? RECEIVED : GIVEN;
    uint64_t local = (uint64_t)(side == RECEIVED ? log->other[row] : log->actor[row]) - (uint64_t)first;
    if (local >= (uint64_t)members || s->slot_of[local] == 0)
        return 0;
    Slot *slot = &s->slot[s->slot_of[local] - 1];
    if (slot->at >= slot->end)
        return 0;
    int64_t n = emit(p, log, row, side, s);
    if (n < 0)
        return -1;
    if (n == 0 && !(p->h.keep & (side == RECEIVED ? KEEP_RECEIVED : KEEP_GIVEN)))
        return 0;
    Event *event = &s->event[slot->at];
    event->time = log->time[row];
    event->duration = log->duration ? log->duration[row] : 0;
    event->flags = side == RECEIVED ? F_RECEIVED : 0;
    if (s->reads & 1 && log->filled && log->filled[row])
        event->flags |= F_FILLED;
    if (n <= INLINE_KEYS) {
        event->n = (uint8_t)n;
        memcpy(event->key, s->emitted, sizeof(event->key));
    } else {
        uint32_t at = (uint32_t)s->n_more, many = (uint32_t)n;
        if (n > UINT32_MAX || s->n_more + n > UINT32_MAX || !GROW(s, more, s->n_more + n))
            return -1;
        memcpy(s->more + at, s->emitted, (size_t)n * sizeof(uint16_t));
        s->n_more += n;
        event->n = MANY;
        memcpy(event->key, &at, sizeof(at));
        memcpy(event->key + 2, &many, sizeof(many));
    }
    if (p->h.n_sums && event->duration)
        for (int64_t i = 0; i < n; i++)
            if (p->sum_of[s->emitted[i]] >= 0)
                event->flags |= F_SUMMED;
    if (slot->at > slot->from && before(event, event - 1))
        slot->unsorted = 1;
    if (log->visible) {
        int64_t visible = log->visible[row];
        s->visible[slot->at] = visible;
        slot->late |= visible > event->time;
    }
    slot->at++;
    return 0;
}

/* Observations at whose cutoff something had happened and was not yet known: swept alone, over what was known. */
static int sweep_late(Job *job, Scratch *s, Slot *slot, int64_t entity, int64_t from, int64_t to)
{
    int64_t asked = to - from, n = slot->at - slot->from;
    const Event *event = s->event + slot->from;
    const int64_t *visible = s->visible + slot->from, *cutoff = job->cutoff + from;
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

int sweep_chunk(Job *job, int64_t chunk, Scratch *s)
{
    const Index *x = job->index;
    int64_t first = x->first[chunk], last = x->first[chunk + 1];
    int64_t begin = entity_at(job, first), end = entity_at(job, last);
    if (begin == end)
        return 0;
    int64_t members = (last < x->n_members ? last : x->n_members) - first, room = 0;
    if (!GROW(s, slot, end - begin) || !GROW(s, slot_of, members + 1))
        return -1;
    memset(s->slot_of, 0, (size_t)(members + 1) * sizeof(int32_t));
    for (int64_t e = begin; e < end; e++) {
        int64_t member = job->entity[e];
        s->slot[e - begin] = (Slot){room, room, room, 0, 0};
        if (member < x->n_members) {
            s->slot_of[member - first] = (int32_t)(e - begin + 1);
            room += x->count[member];
            s->slot[e - begin].end = room;
        }
    }
    s->n_more = 0;
    if (!GROW(s, event, room + 1) || (job->log->visible && !GROW(s, visible, room + 1)))
        return -1;
    if (room)
        for (int64_t i = x->from[chunk], to = x->from[chunk + 1]; i < to; i++) {
            if (to - i > 2 * AHEAD) {
                fetch_row(job->log, x->entry[i + 2 * AHEAD]);
                fetch_event(job->log, x->entry[i + AHEAD], first, members, s);
            }
            if (pack_entry(job, x->entry[i], first, members, s) < 0)
                return -1;
        }
    for (int64_t e = begin; e < end; e++) {
        Slot *slot = &s->slot[e - begin];
        int64_t n = slot->at - slot->from, from = job->entity_from[e], to = job->entity_from[e + 1];
        const int64_t entity = job->entity[e];
        Event *event = s->event + slot->from;
        if (slot->unsorted && sort_events(s, event, job->log->visible ? s->visible + slot->from : NULL, n) < 0)
            return -1;
        if (slot->late && sweep_late(job, s, slot, entity, from, to) < 0)
            return -1;
        if (sweep_member(job, s, job->start, event, n, entity, from, to, slot->late ? s->hidden : NULL) < 0)
            return -1;
    }
    return 0;
}
