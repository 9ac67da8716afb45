/* RTP by the thousand: one thread that sends and takes 100,000 packets a second, for the measurements of media.
 *
 * A turn lasts 20 ms and has 20 slots, each with a socket of its own and a twentieth of the legs: every millisecond one
 * sendmmsg sends the packets of a slot. Who a packet that comes is for is told by the port that it comes from. There is
 * one clock, the kernel's time of day in nanoseconds: a packet of ours carries the moment at which it was sent, the
 * kernel stamps its arrival, so that its delay is right however late we are ourselves.
 *
 * Orders on the standard input, words apart by blanks; each is answered by a line of JSON on the standard output.
 *
 *   sound COUNT SIZE HEX     frames that some legs send round and round; -> {"sound": number}
 *   run WARM_MS COUNTED_MS LEGS, then for each leg  SLOT PORT TYPE SOUND EXPECTS
 *       send to PORT by payload type TYPE: frames of SOUND; -1: stamped packets; -2: nothing. What comes from PORT is of
 *       payload type EXPECTS. -> what became of the packets that were sent, or came, after the warm-up.
 *
 * Stamped packets that come back are counted one by one: lost, doubled, how long they were under way. What comes
 * without a stamp is a stream of somebody else's, judged by its own clock: at its best moment it is on time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 20, SLOT_NS = 1000000, TURN_NS = SLOTS * SLOT_NS, HEADER = 12, FRAME = 160, MOST_FRAME = 640 };
enum { BATCH = 256, ROOM = 1500, BUFFER = 16 << 20, MOST_SOUNDS = 16, AFTER_MS = 300, SILENT_MS = 200 };
enum { STAMPED = -1, NOTHING = -2 };
/* Of times: steps of 10 us up to a second. */
enum { STEP_US = 10, STEPS = 100001 };

static const uint32_t MAGIC = 0x63616c6c;

/* What a stamped packet carries behind its header; the rest of its frame is a tone of no meaning. */
typedef struct {
    uint32_t magic, leg, turn;
    int64_t sent_at;
} __attribute__((packed)) Stamp;

typedef struct {
    int count, size;
    unsigned char *frames;
} Sound;

typedef struct {
    int slot, port, type, sound, expects;
    uint32_t ssrc;
    /* What comes without a stamp: when each packet came by the stream's own clock, and what it has numbered. */
    int32_t *late_us;
    int came, room, doubled;
    uint32_t stream, begun;
    int64_t began_at, latest_at, numbered, highest;
    uint64_t window; /* the latest 64 numbers, for what comes twice */
} Leg;

typedef struct {
    int socket, rtcp, count;
    int *legs;
    unsigned char *packets;
    struct sockaddr_in *names;
    struct iovec *vectors;
    struct mmsghdr *messages;
} Slot;

static Slot slots[SLOTS];
static Sound sounds[MOST_SOUNDS];
static int sound_count;
static Leg *legs;
static int leg_count;
static int leg_of_port[65536];
/* Of each leg and counted turn: 0x80 when it was sent, and how often it came. */
static unsigned char *turns_seen;
static int first_turn, last_turn;
static int64_t count_from, count_until;
static uint32_t delays[STEPS], lateness[STEPS];
static int64_t worst_delay, worst_late;
static uint64_t sent, received, doubled, strange, blank, wrong_type, unsent;

static void die(const char *what) {
    fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static double cpu_seconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

static void *room_for(size_t count, size_t size) {
    void *found = calloc(count ? count : 1, size);
    if (!found) die("no memory");
    return found;
}

static int step_of(int64_t ns) {
    int64_t step = ns < 0 ? 0 : ns / (STEP_US * 1000);
    return step < STEPS ? (int)step : STEPS - 1;
}

/* An even port and the odd one behind it, whose reports nobody reads. */
static void open_slot(Slot *slot) {
    for (;;) {
        int rtp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), rtcp = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof name;
        if (rtp < 0 || rtcp < 0) die("no socket");
        if (bind(rtp, (void *)&name, sizeof name) < 0) die("no port");
        getsockname(rtp, (void *)&name, &size);
        int port = ntohs(name.sin_port);
        name.sin_port = htons(port + 1);
        if (port % 2 == 0 && bind(rtcp, (void *)&name, sizeof name) == 0) {
            int buffer = BUFFER, small = 4096, on = 1;
            setsockopt(rtp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
            setsockopt(rtp, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer); /* where we may */
            setsockopt(rtcp, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
            setsockopt(rtp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
            slot->socket = rtp;
            slot->rtcp = rtcp;
            return;
        }
        close(rtp); /* every second try finds an even one */
        close(rtcp);
    }
}

static int port_of(const Slot *slot) {
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    getsockname(slot->socket, (void *)&name, &size);
    return ntohs(name.sin_port);
}

static void fill_slot(Slot *slot, int number) {
    int mine = 0;
    for (int at = 0; at < leg_count; at++) mine += legs[at].slot == number && legs[at].sound != NOTHING;
    slot->count = 0;
    slot->legs = room_for(mine, sizeof *slot->legs);
    slot->packets = room_for(mine, HEADER + MOST_FRAME);
    slot->names = room_for(mine, sizeof *slot->names);
    slot->vectors = room_for(mine, sizeof *slot->vectors);
    slot->messages = room_for(mine, sizeof *slot->messages);
    for (int leg = 0; leg < leg_count; leg++) {
        if (legs[leg].slot != number || legs[leg].sound == NOTHING) continue;
        int at = slot->count++;
        unsigned char *packet = slot->packets + (size_t)at * (HEADER + MOST_FRAME);
        slot->legs[at] = leg;
        memset(packet, 0x55, HEADER + MOST_FRAME);
        packet[0] = 0x80;
        packet[1] = legs[leg].type;
        uint32_t ssrc = htonl(legs[leg].ssrc);
        memcpy(packet + 8, &ssrc, 4);
        slot->names[at] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(legs[leg].port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int size = legs[leg].sound < 0 ? FRAME : sounds[legs[leg].sound].size;
        slot->vectors[at] = (struct iovec){packet, HEADER + size};
        slot->messages[at].msg_hdr = (struct msghdr){.msg_name = &slot->names[at],
                                                     .msg_namelen = sizeof slot->names[at],
                                                     .msg_iov = &slot->vectors[at],
                                                     .msg_iovlen = 1};
    }
}

static void empty_slot(Slot *slot) {
    free(slot->legs), free(slot->packets), free(slot->names), free(slot->vectors), free(slot->messages);
    slot->count = 0;
}

/* Send what a slot's legs say in this turn. Every codec here counts 160 to a turn (G.722 too: RFC 3551 4.5.2). */
static void send_slot(Slot *slot, int turn) {
    uint16_t number = htons((uint16_t)turn);
    uint32_t timestamp = htonl((uint32_t)turn * FRAME);
    int64_t at_once = now();
    for (int at = 0; at < slot->count; at++) {
        unsigned char *packet = slot->packets + (size_t)at * (HEADER + MOST_FRAME);
        const Leg *leg = &legs[slot->legs[at]];
        memcpy(packet + 2, &number, 2);
        memcpy(packet + 4, &timestamp, 4);
        if (leg->sound == STAMPED) {
            Stamp stamp = {MAGIC, (uint32_t)slot->legs[at], (uint32_t)turn, at_once};
            memcpy(packet + HEADER, &stamp, sizeof stamp);
        } else {
            const Sound *sound = &sounds[leg->sound];
            memcpy(packet + HEADER, sound->frames + (size_t)(turn % sound->count) * sound->size, sound->size);
        }
    }
    int done = 0;
    while (done < slot->count) {
        int left = sendmmsg(slot->socket, slot->messages + done, slot->count - done, 0);
        if (left < 0 && (errno == ECONNREFUSED || errno == EINTR)) continue; /* told of an earlier packet */
        if (left <= 0) break;
        done += left;
    }
    if (turn < first_turn || turn >= last_turn) return;
    sent += done;
    unsent += slot->count - done;
    for (int at = 0; at < done; at++)
        turns_seen[(size_t)slot->legs[at] * (last_turn - first_turn) + turn - first_turn] |= 0x80;
}

static void take_stamped(const Stamp *stamp, int64_t at) {
    if ((int)stamp->leg >= leg_count || (int)stamp->turn < first_turn || (int)stamp->turn >= last_turn) return;
    unsigned char *seen =
        turns_seen + (size_t)stamp->leg * (last_turn - first_turn) + stamp->turn - (unsigned)first_turn;
    if (*seen & 0x7f) {
        doubled++;
        return;
    }
    ++*seen;
    received++;
    int64_t delay = at - stamp->sent_at;
    delays[step_of(delay)]++;
    if (delay > worst_delay) worst_delay = delay;
}

/* A packet of a stream that is not ours: kept with how late it came after the stream's first. */
static void take_stream(Leg *leg, const unsigned char *packet, int size, int64_t at) {
    uint32_t ssrc, timestamp;
    uint16_t number;
    memcpy(&ssrc, packet + 8, 4);
    memcpy(&timestamp, packet + 4, 4);
    memcpy(&number, packet + 2, 2);
    timestamp = ntohl(timestamp), number = ntohs(number);
    leg->latest_at = at;
    if (at < count_from || at >= count_until) return;
    if (!leg->came || leg->stream != ssrc) {
        leg->stream = ssrc;
        leg->begun = timestamp;
        leg->began_at = at;
        leg->highest = number;
        leg->window = 0;
        leg->numbered++;
    } else {
        int step = (int16_t)(number - (uint16_t)leg->highest);
        if (step > 0) {
            leg->numbered += step;
            leg->highest += step;
            leg->window = step < 64 ? leg->window << step | 1ULL << (step - 1) : 0;
        } else if (step == 0 || (step > -64 && leg->window >> (-step - 1) & 1)) {
            leg->doubled++;
            return;
        } else if (step > -64) {
            leg->window |= 1ULL << (-step - 1);
        }
    }
    wrong_type += (packet[1] & 0x7f) != leg->expects;
    blank += size > HEADER + 1 && memcmp(packet + HEADER, packet + HEADER + 1, size - HEADER - 1) == 0;
    if (leg->came == leg->room) return; /* far more than is due */
    int64_t due = leg->began_at + (int64_t)(int32_t)(timestamp - leg->begun) * 125000;
    leg->late_us[leg->came++] = (int32_t)((at - due) / 1000);
}

static void take_slot(Slot *slot) {
    static unsigned char data[BATCH][ROOM];
    static char beside[BATCH][64];
    static struct sockaddr_in names[BATCH];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    for (;;) {
        for (int at = 0; at < BATCH; at++) {
            vectors[at] = (struct iovec){data[at], ROOM};
            messages[at].msg_hdr = (struct msghdr){.msg_name = &names[at],
                                                   .msg_namelen = sizeof names[at],
                                                   .msg_iov = &vectors[at],
                                                   .msg_iovlen = 1,
                                                   .msg_control = beside[at],
                                                   .msg_controllen = sizeof beside[at]};
        }
        int count = recvmmsg(slot->socket, messages, BATCH, MSG_DONTWAIT, NULL);
        if (count < 0 && errno == ECONNREFUSED) continue;
        for (int at = 0; at < count; at++) {
            int size = (int)messages[at].msg_len, leg = leg_of_port[ntohs(names[at].sin_port)];
            if (size < HEADER || data[at][0] >> 6 != 2 || leg < 0) {
                strange++;
                continue;
            }
            struct cmsghdr *stamp = CMSG_FIRSTHDR(&messages[at].msg_hdr);
            int64_t when;
            if (stamp && stamp->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec came;
                memcpy(&came, CMSG_DATA(stamp), sizeof came);
                when = came.tv_sec * 1000000000LL + came.tv_nsec;
            } else {
                when = now();
            }
            uint32_t magic = 0;
            if (size == HEADER + FRAME) memcpy(&magic, data[at] + HEADER, 4);
            if (magic == MAGIC)
                take_stamped((const Stamp *)(data[at] + HEADER), when);
            else
                take_stream(&legs[leg], data[at], size, when);
        }
        if (count < BATCH) return;
    }
}

static void take_all(void) {
    for (int number = 0; number < SLOTS; number++) take_slot(&slots[number]);
}

static void print_histogram(const char *name, const uint32_t *steps) {
    const char *between = "";
    printf(", \"%s\": [", name);
    for (int at = 0; at < STEPS; at++)
        if (steps[at]) {
            printf("%s[%d, %" PRIu32 "]", between, at * STEP_US, steps[at]);
            between = ", ";
        }
    printf("]");
}

static void run(int warm_ms, int counted_ms) {
    static int turn; /* goes on from one run to the next */
    int turns = (warm_ms + counted_ms) / 20, start = ++turn;
    first_turn = start + warm_ms / 20;
    last_turn = turn = start + turns;
    turns_seen = room_for((size_t)leg_count * (last_turn - first_turn), 1);
    memset(delays, 0, sizeof delays), memset(lateness, 0, sizeof lateness);
    sent = received = doubled = strange = blank = wrong_type = unsent = 0;
    worst_delay = worst_late = 0;
    for (int leg = 0; leg < leg_count; leg++) {
        legs[leg].room = counted_ms / 20 * 2 + 100;
        legs[leg].late_us = room_for(legs[leg].room, sizeof(int32_t));
    }
    for (int number = 0; number < SLOTS; number++) take_slot(&slots[number]); /* what a run before has left */
    for (int number = 0; number < SLOTS; number++) fill_slot(&slots[number], number);
    strange = 0;

    int64_t behind = 0, began = now() + 5 * SLOT_NS;
    count_from = began + (int64_t)(first_turn - start) * TURN_NS;
    count_until = began + (int64_t)turns * TURN_NS;
    double spent = cpu_seconds();
    for (int step = 0; step < turns * SLOTS; step++) {
        int64_t due = began + (int64_t)step * SLOT_NS, at = now();
        if (at < due) {
            struct timespec wait = {0, due - at};
            nanosleep(&wait, NULL);
        } else if (due >= count_from && at - due > behind) {
            behind = at - due;
        }
        send_slot(&slots[step % SLOTS], start + step / SLOTS);
        take_all();
    }
    spent = cpu_seconds() - spent;
    double lasted = (now() - began) * 1e-9;
    for (int64_t until = now() + AFTER_MS * 1000000LL; now() < until;) {
        struct timespec wait = {0, SLOT_NS};
        take_all();
        nanosleep(&wait, NULL);
    }

    int streams = 0, silent = 0, legs_that_lost = 0;
    uint64_t came = 0, numbered = 0, twice = 0;
    for (int leg = 0; leg < leg_count; leg++) {
        Leg *one = &legs[leg];
        int missing = 0;
        for (int at = 0; at < last_turn - first_turn; at++)
            missing += turns_seen[(size_t)leg * (last_turn - first_turn) + at] == 0x80;
        legs_that_lost += missing > 0;
        if (one->latest_at) {
            int32_t best = INT32_MAX;
            streams++;
            silent += one->latest_at < count_until - SILENT_MS * 1000000LL;
            came += one->came, numbered += one->numbered, twice += one->doubled;
            for (int at = 0; at < one->came; at++)
                if (one->late_us[at] < best) best = one->late_us[at];
            for (int at = 0; at < one->came; at++) {
                int64_t late = (int64_t)(one->late_us[at] - best) * 1000;
                lateness[step_of(late)]++;
                if (late > worst_late) worst_late = late;
            }
        }
        free(one->late_us);
    }
    printf("{\"sent\": %" PRIu64 ", \"unsent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"doubled\": %" PRIu64
           ", \"legs_that_lost\": %d, \"strange\": %" PRIu64,
           sent, unsent, received, doubled, legs_that_lost, strange);
    printf(", \"streams\": %d, \"silent\": %d, \"came\": %" PRIu64 ", \"numbered\": %" PRIu64 ", \"twice\": %" PRIu64
           ", \"blank\": %" PRIu64 ", \"wrong_type\": %" PRIu64,
           streams, silent, came, numbered, twice, blank, wrong_type);
    printf(", \"behind_us\": %" PRId64 ", \"busy\": %.3f, \"worst_delay_us\": %" PRId64 ", \"worst_late_us\": %" PRId64,
           behind / 1000, spent / lasted, worst_delay / 1000, worst_late / 1000);
    print_histogram("delays", delays);
    print_histogram("lateness", lateness);
    printf("}\n");
    for (int number = 0; number < SLOTS; number++) empty_slot(&slots[number]);
    free(turns_seen);
}

static void read_legs(void) {
    for (int port = 0; port < 65536; port++) leg_of_port[port] = -1;
    free(legs);
    legs = room_for(leg_count, sizeof *legs);
    for (int leg = 0; leg < leg_count; leg++) {
        Leg *one = &legs[leg];
        if (scanf("%d %d %d %d %d", &one->slot, &one->port, &one->type, &one->sound, &one->expects) != 5 ||
            one->slot < 0 || one->slot >= SLOTS || one->port < 1 || one->port > 65535 || one->sound < NOTHING ||
            one->sound >= sound_count) {
            fprintf(stderr, "generator: leg %d is none\n", leg);
            exit(2);
        }
        one->ssrc = 0x10000000u + (uint32_t)leg;
        leg_of_port[one->port] = leg;
    }
}

static void read_sound(void) {
    Sound *sound = &sounds[sound_count];
    if (sound_count == MOST_SOUNDS || scanf("%d %d ", &sound->count, &sound->size) != 2 || sound->count < 1 ||
        sound->size < 1 || sound->size > MOST_FRAME) {
        fprintf(stderr, "generator: this is no sound\n");
        exit(2);
    }
    sound->frames = room_for(sound->count, sound->size);
    for (int at = 0; at < sound->count * sound->size; at++) {
        unsigned octet;
        if (scanf("%2x", &octet) != 1) die("the sound ends too early");
        sound->frames[at] = octet;
    }
    printf("{\"sound\": %d}\n", sound_count++);
}

int main(void) {
    char order[16];
    int warm_ms, counted_ms;
    for (int number = 0; number < SLOTS; number++) open_slot(&slots[number]);
    printf("{\"ports\": [");
    for (int number = 0; number < SLOTS; number++) printf("%s%d", number ? ", " : "", port_of(&slots[number]));
    printf("]}\n");
    fflush(stdout);
    while (scanf("%15s", order) == 1) {
        if (strcmp(order, "sound") == 0) {
            read_sound();
        } else if (strcmp(order, "run") == 0 && scanf("%d %d %d", &warm_ms, &counted_ms, &leg_count) == 3) {
            read_legs();
            run(warm_ms, counted_ms);
        } else {
            fprintf(stderr, "generator: %s is no order\n", order);
            return 2;
        }
        fflush(stdout);
    }
    return 0;
}
