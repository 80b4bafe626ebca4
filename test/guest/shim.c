// Loaded into the guest's kernel, which is a program of this machine (LD_PRELOAD). To set the floating point registers of
// a process it passes a buffer of the size that it knew when it was written. A processor with more state (AVX-512, AMX)
// demands the whole area and answers EFAULT ("ptrace set fp regs failed"): so the rest is read first and written back.
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NT_X86_XSTATE 0x202

// The system call gives what a PEEK reads through its last argument; the function of the C library returns it.
static long raw(long request, long pid, long address, long data) {
  long word;
  int peeks = request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER;
  long result = syscall(SYS_ptrace, request, pid, address, peeks ? (long)&word : data);
  if (!peeks || result < 0) return result;
  errno = 0;
  return word;
}

long ptrace(enum __ptrace_request request, ...) {
  va_list list;
  va_start(list, request);
  long pid = (int)va_arg(list, long), address = va_arg(list, long), data = va_arg(list, long);
  va_end(list);
  if (request != PTRACE_SETREGSET || address != NT_X86_XSTATE) return raw(request, pid, address, data);
  static char area[65536];
  struct iovec *given = (struct iovec *)data, whole = {area, sizeof area};
  if (raw(PTRACE_GETREGSET, pid, address, (long)&whole) < 0) return -1;
  if (given->iov_len >= whole.iov_len) return raw(request, pid, address, data);
  memcpy(area, given->iov_base, given->iov_len);
  return raw(request, pid, address, (long)&whole);
}
