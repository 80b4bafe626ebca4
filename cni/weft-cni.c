/* The CNI plugin that container runtimes execute: it starts in a millisecond and decides nothing. It sends the CNI_
 * variables and its standard input to the agent's unix socket, prints the answer, and exits as the answer says. If there
 * is no agent, ADD and DEL are sent again for WAIT_MS, because it may be restarting and both may be repeated; then the
 * plugin says so itself. The socket is the key `socket` of the configuration (found as libcni writes JSON, without
 * spaces), or WEFT_SOCKET, or the default: not every runtime passes its environment on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 5000, PAUSE_MS = 50 };
#define HEAD "POST /v1/cni HTTP/1.1\r\nhost: weft\r\nconnection: close\r\ncontent-length: %zu\r\n\r\n"

extern char **environ;
static char request[1 << 20], answer[1 << 20];

static int fail(int code, const char *what) {
  printf("{\"cniVersion\":\"1.1.0\",\"code\":%d,\"msg\":\"%s\"}\n", code, what);
  return 1;
}

/* The agent does not answer: "try again later", for which STATUS has a code of its own. */
static int away(const char *command) {
  if (!strcmp(command, "VERSION"))
    return puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}") < 0;
  return fail(strcmp(command, "STATUS") ? 11 : 50, "Weft's agent does not answer on this host; is it running?");
}

static int connected(const char *config) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  const char *named = strstr(config, "\"socket\":\""), *path = named ? named + 10 : getenv("WEFT_SOCKET");
  int length = named ? strcspn(path, "\"") : sizeof to.sun_path;
  snprintf(to.sun_path, sizeof to.sun_path, "%.*s", length, path ? path : "/run/weft/agent.sock");
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (!connect(fd, (void *)&to, sizeof to)) return fd;
  close(fd);
  return -1;
}

/* Sends the request from `start` to `end`, and returns the body of the answer; NULL if it is not complete. An agent that
 * dies meanwhile has perhaps done its work: the same request again tells. */
static const char *asked(size_t start, size_t end, const char *config) {
  int fd = connected(config);
  if (fd < 0) return NULL;
  size_t got = 0;
  ssize_t n = 1;
  for (; start < end && n > 0; start += n) n = send(fd, request + start, end - start, MSG_NOSIGNAL);
  while (n > 0 && got < sizeof answer - 1 && (n = read(fd, answer + got, sizeof answer - 1 - got)) > 0) got += n;
  close(fd);
  answer[got] = 0;
  const char *body = strstr(answer, "\r\n\r\n"), *announced = strstr(answer, "content-length: ");
  return body && announced && strlen(body + 4) >= strtoul(announced + 16, NULL, 10) ? body + 4 : NULL;
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int main(void) {
  const char *command = getenv("CNI_COMMAND") ? getenv("CNI_COMMAND") : "";
  /* Behind room for the head: the variables, each ended by a zero byte, one more zero byte, and the configuration. */
  size_t start = 256, end = start;
  for (char **variable = environ; *variable; variable++) {
    size_t length = strlen(*variable) + 1;
    if (strncmp(*variable, "CNI_", 4) || end + length + 1 >= sizeof request) continue;
    memcpy(request + end, *variable, length);
    end += length;
  }
  request[end++] = 0;
  const char *config = request + end;
  ssize_t n = 0;
  while (end < sizeof request - 1 && (n = read(0, request + end, sizeof request - 1 - end)) > 0) end += n;
  if (n != 0) return fail(5, "the network configuration cannot be read from standard input");

  /* What the agent answers without a general HTTP parser (src/agent/socket/listen.ts). */
  char head[256];
  int length = snprintf(head, sizeof head, HEAD, end - start);
  start -= length;
  memcpy(request + start, head, length);
  int waits = !strcmp(command, "ADD") || !strcmp(command, "DEL");
  long deadline = now() + (waits ? WAIT_MS : 0);
  const char *body;
  while (!(body = asked(start, end, config))) {
    if (now() + PAUSE_MS > deadline) return away(command);
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  }
  fputs(body, stdout);
  return strncmp(answer + 8, " 200", 4) != 0;
}
