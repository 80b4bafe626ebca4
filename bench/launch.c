/* Starts programs as a container runtime starts CNI plugins, and says how long each took: from before fork to its end,
 * with all its output read. Lines on standard input:
 *   job <namespace> <program> <environment, hex, NUL-separated> <standard input, hex>
 *   go
 * `go` starts all jobs at once and answers one line: microseconds for all, then per job `<us>:<exit>:<output, hex>`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 256, TEXT_MAX = 1 << 16, VARIABLES_MAX = 64 };

struct job {
  char namespace[256], program[256];
  char environment[4096], input[TEXT_MAX], output[TEXT_MAX];
  size_t environment_length, input_length, output_length;
  pid_t pid;
  int from, status;
  double started, took;
};
static struct job jobs[JOBS_MAX];
static int job_count;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static size_t unhex(const char *text, char *into, size_t most) {
  size_t length = text ? strlen(text) / 2 : 0;
  if (length > most) die("a line is too long");
  for (size_t i = 0; i < length; i++) sscanf(text + 2 * i, "%2hhx", (unsigned char *)into + i);
  return length;
}

static void queue(char *line) {
  struct job *job = &jobs[job_count++ % JOBS_MAX];
  char *save;
  snprintf(job->namespace, sizeof job->namespace, "%s", strtok_r(line, " \n", &save));
  snprintf(job->program, sizeof job->program, "%s", strtok_r(NULL, " \n", &save));
  job->environment_length = unhex(strtok_r(NULL, " \n", &save), job->environment, sizeof job->environment - 1);
  job->input_length = unhex(strtok_r(NULL, " \n", &save), job->input, sizeof job->input);
  job->output_length = 0;
}

static void become(struct job *job, int input, int output) {
  char *variables[VARIABLES_MAX] = {0}, *argv[] = {job->program, NULL};
  int count = 0;
  for (size_t at = 0; at < job->environment_length && count < VARIABLES_MAX - 1; count++) {
    variables[count] = job->environment + at;
    at += strlen(variables[count]) + 1;
  }
  int space = open(job->namespace, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET)) _exit(120);
  dup2(input, 0);
  dup2(output, 1);
  execve(job->program, argv, variables);
  _exit(121);
}

static void start(struct job *job) {
  int input[2], output[2];
  if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC)) die("pipe");
  job->started = now_us();
  job->pid = fork();
  if (job->pid < 0) die("fork");
  if (job->pid == 0) become(job, input[0], output[1]);
  close(input[0]);
  close(output[1]);
  if (write(input[1], job->input, job->input_length) != (ssize_t)job->input_length) die("write");
  close(input[1]);
  job->from = output[0];
}

/* Whether it has ended. */
static int hear(struct job *job) {
  ssize_t n = read(job->from, job->output + job->output_length, sizeof job->output - job->output_length);
  if (n > 0) return job->output_length += n, 0;
  close(job->from);
  waitpid(job->pid, &job->status, 0);
  job->took = now_us() - job->started;
  return 1;
}

static void go(void) {
  static struct pollfd waiting[JOBS_MAX];
  double started = now_us();
  for (int i = 0; i < job_count; i++) {
    start(&jobs[i]);
    waiting[i] = (struct pollfd){.fd = jobs[i].from, .events = POLLIN};
  }
  for (int left = job_count; left > 0;) {
    if (poll(waiting, job_count, -1) < 0) die("poll");
    for (int i = 0; i < job_count; i++) {
      if (waiting[i].fd < 0 || !waiting[i].revents || !hear(&jobs[i])) continue;
      waiting[i].fd = -1;
      left--;
    }
  }
  printf("%.1f", now_us() - started);
  for (int i = 0; i < job_count; i++) {
    printf(" %.1f:%d:", jobs[i].took, WIFEXITED(jobs[i].status) ? WEXITSTATUS(jobs[i].status) : -1);
    for (size_t at = 0; at < jobs[i].output_length; at++) printf("%02x", (unsigned char)jobs[i].output[at]);
  }
  putchar('\n');
  job_count = 0;
}

int main(void) {
  char *line = malloc(4 * TEXT_MAX);
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (line && fgets(line, 4 * TEXT_MAX, stdin)) {
    if (!strncmp(line, "job ", 4)) queue(line + 4);
    else if (!strncmp(line, "go", 2)) go();
    else die("unknown command");
  }
  return 0;
}
