// Traffic that counts what is lost and what comes twice, at 1 kHz, or every WEFT_TRAFFIC_MS; a process ends at SIGTERM and
// prints what it saw.
//   traffic echo PORT                  answers datagrams: "echoed 5000 doubled 0 refused 0 lost"
//   traffic ask ADDRESS PORT SIZE      asks an echo: "sent 5000 answered 5000 doubled 0 lost"
//   traffic shout ADDRESS PORT         broadcasts: "sent 5000"
//   traffic hear PORT                  hears a shout: "heard 5000 doubled 0 lost"
//   traffic take PORT                  takes a stream: "bytes 5000", and "wrong" if they are not those that were given
//   traffic give ADDRESS PORT          gives one: "bytes 5000 stalled 3" (the longest time in ms that nothing could go)
// What was lost follows the last word, in runs of numbers (at 1 kHz, milliseconds since the start).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 1000000
/** Bytes of a stream begin anew after so many. */
#define TURN 251
/** So often 100 ms without an answer are the end. */
#define LAST_WAITS 20
static volatile sig_atomic_t ended;
static double period = 1;
static unsigned char seen[MOST];
static char buffer[65536];

static void end(int signal) { (void)signal; ended = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
static void sleep_until(double due) {
  double ms = due - now();
  struct timespec t = {ms / 1e3, (long)(ms * 1e6) % 1000000000};
  if (ms > 0) nanosleep(&t, 0);
}
static int fail(const char *what) { perror(what); return 1; }

static int bound(int type, const char *port) {
  int s = socket(AF_INET6, type, 0), no = 0, yes = 1, room = 8 << 20;
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
  setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bind(s, (void *)&any, sizeof any)) exit(fail("bind"));
  return s;
}

static int connected(int type, const char *address, const char *port) {
  struct addrinfo *to, hints = {.ai_socktype = type};
  if (getaddrinfo(address, port, &hints, &to)) exit(fail("address"));
  int s = socket(to->ai_family, type, 0), yes = 1, room = 8 << 20;
  setsockopt(s, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (connect(s, to->ai_addr, to->ai_addrlen)) exit(fail("connect"));
  return s;
}

/** Waits at most this long; whether there is something to read. */
static int wait_for(int s, double ms) {
  struct pollfd one = {s, POLLIN, 0};
  struct timespec t = {ms / 1e3, (long)(ms * 1e6) % 1000000000};
  return ms > 0 ? ppoll(&one, 1, &t, 0) > 0 : poll(&one, 1, 0) > 0;
}

static unsigned took, doubled;
static void note(unsigned n) {
  if (n >= MOST) return;
  if (seen[n]) doubled++;
  else seen[n] = 1, took++;
}

static void print_lost(unsigned from, unsigned to) {
  int runs = 0;
  printf(" lost");
  for (unsigned i = from; i < to; i++) {
    if (seen[i]) continue;
    unsigned first = i;
    while (i + 1 < to && !seen[i + 1]) i++;
    if (runs++ < 8) printf(" %u-%u", first, i);
  }
  puts("");
}

static int echo(int s) {
  unsigned first = MOST, last = 0, number, refused = 0;
  for (;;) {
    struct sockaddr_in6 from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(s, buffer, sizeof buffer, 0, (void *)&from, &size);
    if (n < 4) {
      if (ended) break;
      continue;
    }
    memcpy(&number, buffer, 4);
    note(number);
    if (number < first) first = number;
    if (number > last) last = number;
    if (sendto(s, buffer, n, 0, (void *)&from, size) < 0) refused++, fprintf(stderr, "%u: %s\n", number, strerror(errno));
  }
  printf("echoed %u doubled %u refused %u", took, doubled, refused);
  print_lost(first, last + 1);
  return 0;
}

static int ask(int s, int size, int answers) {
  double start = now();
  unsigned n = 0, refused = 0, empty = 0;
  while (n < MOST) {
    double due = start + n * period, t = now();
    if (!ended && t >= due) {
      // What a machine without time missed is not sent at once: no queue has to hold it.
      if (t - due > 5) start += t - due;
      memcpy(buffer, &n, 4);
      if (send(s, buffer, size, 0) < 0) refused++, fprintf(stderr, "%u: %s\n", n, strerror(errno));
      n++;
      continue;
    }
    if (!answers) { if (ended) break; sleep_until(due); continue; }
    // The signal may end the wait itself.
    int last = ended;
    if (last && took == n) break;
    // Many short waits, and not a long one: if all processes of a machine stand still, a long one is over when they go on,
    // before the echo has had its turn.
    if (!wait_for(s, last ? 100 : due - t)) { if (last && ++empty == LAST_WAITS) break; continue; }
    empty = 0;
    unsigned number;
    while (recv(s, buffer, sizeof buffer, MSG_DONTWAIT) >= 4) memcpy(&number, buffer, 4), note(number);
  }
  printf("sent %u", n);
  if (answers) printf(" answered %u doubled %u refused %u", took, doubled, refused), print_lost(0, n);
  else puts("");
  return 0;
}

static int hear(int s) {
  unsigned first = MOST, last = 0, number;
  while (!ended) {
    if (recv(s, buffer, sizeof buffer, 0) < 4) continue;
    memcpy(&number, buffer, 4);
    note(number);
    if (number < first) first = number;
    if (number > last) last = number;
  }
  printf("heard %u doubled %u", took, doubled);
  print_lost(first, last + 1);
  return 0;
}

static int take(int listening) {
  listen(listening, 1);
  puts("ready");
  fflush(stdout);
  int s = accept(listening, 0, 0);
  unsigned long bytes = 0, wrong = 0;
  ssize_t n;
  while ((n = read(s, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
    for (ssize_t i = 0; i < n; i++) wrong += (unsigned char)buffer[i] != bytes++ % TURN;
  printf("bytes %lu%s%s\n", bytes, wrong ? " wrong" : "", n < 0 ? strerror(errno) : "");
  return n < 0;
}

static int give(int s) {
  unsigned long bytes = 0;
  double stalled = 0;
  int yes = 1;
  for (int i = 0; i < 4000 + TURN; i++) buffer[i] = i % TURN;
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  for (double due = now(); !ended; due += period) {
    while (!ended && now() < due) sleep_until(due);
    double t = now();
    ssize_t n = write(s, buffer + bytes % TURN, 4000);
    if (n > 0) bytes += n;
    else if (n < 0 && errno != EINTR) return fail("write");
    if (now() - t > stalled) stalled = now() - t;
  }
  printf("bytes %lu stalled %.0f\n", bytes, stalled);
  return 0;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  const char *what = words[1], *every = getenv("WEFT_TRAFFIC_MS");
  if (every) period = atof(every);
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, 0);
  if (!strcmp(what, "echo") || !strcmp(what, "hear")) {
    int s = bound(SOCK_DGRAM, words[2]);
    puts("ready");
    fflush(stdout);
    return what[0] == 'e' ? echo(s) : hear(s);
  }
  if (!strcmp(what, "take")) return take(bound(SOCK_STREAM, words[2]));
  if (count < 4) return 2;
  int s = connected(!strcmp(what, "give") ? SOCK_STREAM : SOCK_DGRAM, words[2], words[3]);
  puts("ready");
  fflush(stdout);
  if (!strcmp(what, "give")) return give(s);
  return ask(s, count > 4 ? atoi(words[4]) : 64, !strcmp(what, "ask"));
}
