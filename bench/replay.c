/* The stopwatch of bench/attach.ts: what the kernel alone costs, and what a caller of the agent waits for, measured by
 * one program with one clock. It owns no meaning: netlink messages come as bytes that were recorded from Weft, HTTP
 * requests as bytes too. Commands are lines on stdin, answers are lines on stdout:
 *
 *   http SOCKET HEX    sends a request on a new connection; answers "MICROSECONDS RESPONSE", the response on one line
 *   send NETNS PROTOCOL KEEP HEX [OFFSET:NETNS ...]
 *                      queues one datagram for a netlink socket in that namespace. KEEP 1: the socket is open already,
 *                      as a daemon keeps it; 0: opening it is part of the time. At each offset the descriptor of a
 *                      namespace is written into the bytes.
 *   run                sends what is queued, each after all answers to the one before; answers "MICROSECONDS ERRORS",
 *                      where an error is "step:errno"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1 << 20, MESSAGE_MAX = 1 << 16, STEPS_MAX = 64, NAMES_MAX = 4096 };

static int own_namespace;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static size_t unhex(const char *text, unsigned char *out, size_t max) {
  size_t n = 0;
  unsigned byte;
  while (n < max && sscanf(text + 2 * n, "%2x", &byte) == 1) out[n++] = byte;
  return n;
}

/* Namespaces by path. A path may come to mean another namespace, so entries are forgotten after each run. */
static struct { char path[256]; int fd; } names[NAMES_MAX];
static int name_count;

static int namespace_fd(const char *path) {
  for (int i = 0; i < name_count; i++)
    if (!strcmp(names[i].path, path)) return names[i].fd;
  if (name_count == NAMES_MAX) die("too many namespaces");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  snprintf(names[name_count].path, sizeof names[0].path, "%s", path);
  return names[name_count++].fd = fd;
}

static void forget_namespaces(void) {
  while (name_count > 0) close(names[--name_count].fd);
}

static int open_socket(int namespace, int protocol) {
  int one = 1;
  if (namespace >= 0 && setns(namespace, CLONE_NEWNET)) die("setns");
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  if (namespace >= 0 && setns(own_namespace, CLONE_NEWNET)) die("setns back");
  return fd;
}

/* Sockets that a daemon would have open already: by path, for as long as this program runs. */
static struct { char path[256]; int protocol, fd; } kept[64];
static int kept_count;

static int kept_socket(const char *path, int protocol) {
  for (int i = 0; i < kept_count; i++)
    if (!strcmp(kept[i].path, path) && kept[i].protocol == protocol) return kept[i].fd;
  if (kept_count == 64) die("too many kept sockets");
  snprintf(kept[kept_count].path, sizeof kept[0].path, "%s", path);
  kept[kept_count].protocol = protocol;
  return kept[kept_count++].fd = open_socket(namespace_fd(path), protocol);
}

static struct step {
  int namespace; /* -1: `socket` is open already */
  int protocol, socket, acks;
  size_t length;
  unsigned char bytes[MESSAGE_MAX];
} steps[STEPS_MAX];
static int step_count;

static int acks_wanted(const struct step *step) {
  int wanted = 0;
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= step->length;) {
    const struct nlmsghdr *header = (const void *)(step->bytes + at);
    if (header->nlmsg_len < sizeof *header) break;
    wanted += (header->nlmsg_flags & NLM_F_ACK) != 0;
    at += NLMSG_ALIGN(header->nlmsg_len);
  }
  return wanted;
}

static void queue(char *line) {
  if (step_count == STEPS_MAX) die("too many steps");
  struct step *step = &steps[step_count++];
  char *save, *path = strtok_r(line, " \n", &save);
  step->protocol = atoi(strtok_r(NULL, " \n", &save));
  int keep = atoi(strtok_r(NULL, " \n", &save));
  step->length = unhex(strtok_r(NULL, " \n", &save), step->bytes, MESSAGE_MAX);
  step->namespace = keep ? -1 : namespace_fd(path);
  step->socket = keep ? kept_socket(path, step->protocol) : -1;
  step->acks = acks_wanted(step);
  for (char *patch; (patch = strtok_r(NULL, " \n", &save));) {
    char *colon = strchr(patch, ':');
    int fd = namespace_fd(colon + 1);
    memcpy(step->bytes + atoi(patch), &fd, sizeof fd);
  }
}

/* Reads until every message has its answer; appends what was refused to `errors`. */
static void collect(int fd, int wanted, int index, char *errors) {
  static char buffer[1 << 16] __attribute__((aligned(8)));
  while (wanted > 0) {
    int length = recv(fd, buffer, sizeof buffer, 0);
    if (length < 0) die("recv");
    for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, length); h = NLMSG_NEXT(h, length)) {
      if (h->nlmsg_type != NLMSG_ERROR) continue;
      wanted--;
      int error = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
      if (error) sprintf(errors + strlen(errors), " %d:%d", index, error);
    }
  }
}

static void run(void) {
  static char errors[1 << 14];
  errors[0] = 0;
  double started = now_us();
  for (int i = 0; i < step_count; i++) {
    struct step *step = &steps[i];
    int fd = step->socket >= 0 ? step->socket : open_socket(step->namespace, step->protocol);
    if (send(fd, step->bytes, step->length, 0) != (ssize_t)step->length) die("send");
    collect(fd, step->acks, i, errors);
    if (step->socket < 0) close(fd);
  }
  printf("%.1f%s\n", now_us() - started, errors);
  step_count = 0;
  forget_namespaces();
}

/* The whole response is there when as many bytes as its head announces came after it; 204 announces none. */
static int is_whole(const char *response) {
  const char *body = strstr(response, "\r\n\r\n");
  if (!body) return 0;
  const char *announced = strcasestr(response, "\r\ncontent-length:");
  size_t length = announced && announced < body ? strtoul(announced + 17, NULL, 10) : 0;
  return strlen(body + 4) >= length;
}

static void http(char *line) {
  static char request[1 << 16], response[1 << 20];
  char *save, *path = strtok_r(line, " \n", &save);
  size_t length = unhex(strtok_r(NULL, " \n", &save), (unsigned char *)request, sizeof request), got = 0;
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
  double started = now_us();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (void *)&to, sizeof to)) die(path);
  if (write(fd, request, length) != (ssize_t)length) die("write");
  do {
    ssize_t n = read(fd, response + got, sizeof response - 1 - got);
    if (n <= 0) break;
    response[got += n] = 0;
  } while (!is_whole(response));
  double took = now_us() - started;
  close(fd);
  for (size_t i = 0; i < got; i++)
    if (response[i] == '\n' || response[i] == '\r') response[i] = ' ';
  printf("%.1f %s\n", took, response);
}

int main(void) {
  char *line = malloc(LINE_MAX_BYTES);
  own_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (!line || own_namespace < 0) die("start");
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, LINE_MAX_BYTES, stdin)) {
    if (!strncmp(line, "http ", 5)) http(line + 5);
    else if (!strncmp(line, "send ", 5)) queue(line + 5);
    else if (!strncmp(line, "run", 3)) run();
    else die("unknown command");
  }
  return 0;
}
