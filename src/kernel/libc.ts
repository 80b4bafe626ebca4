// The dozen C functions that Weft calls in libc, through koffi. Knows calling conventions and errno, nothing of netlink
// or of Weft. Every call throws SystemError where C would return -1.
//
// Two rules of the Linux ABI that callers rely on: setns and unshare change only the calling thread (so they are used
// in short synchronous blocks, never around an await), and a netlink socket belongs for ever to the namespace it was
// made in.
import { strict as assert } from "node:assert";
import { arch, endianness } from "node:os";
import koffi from "koffi";
import { EAGAIN, SystemError } from "./errno.ts";
import { MCAST_JOIN_GROUP } from "./netlink/constants.ts";

// Netlink is in host byte order and the codec writes little endian: x86-64, arm64, riscv64.
assert.equal(endianness(), "LE", "Weft's netlink codec needs a little-endian machine");

const lib = koffi.load(null);

/** What koffi gives for an int-returning function; the arguments are checked by the wrappers below. */
type Native = { (...args: readonly unknown[]): number; async(...args: readonly unknown[]): void };
function native(prototype: string): Native {
  return lib.func(prototype) as Native;
}

const c = {
  open: native("int open(const char *, int)"),
  flock: native("int flock(int, int)"),
  socket: native("int socket(int, int, int)"),
  bind: native("int bind(int, const void *, uint32_t)"),
  setsockopt: native("int setsockopt(int, int, int, const void *, uint32_t)"),
  send: native("int64_t send(int, const void *, size_t, int)"),
  sendto: native("int64_t sendto(int, const void *, size_t, int, const void *, uint32_t)"),
  recvfrom: native("int64_t recvfrom(int, _Out_ void *, size_t, int, _Out_ void *, _Inout_ uint32_t *)"),
  recv: native("int64_t recv(int, _Out_ void *, size_t, int)"),
  close: native("int close(int)"),
  setns: native("int setns(int, int)"),
  unshare: native("int unshare(int)"),
  mount: native("int mount(const char *, const char *, const char *, unsigned long, const void *)"),
  umount2: native("int umount2(const char *, int)"),
  eventfd: native("int eventfd(unsigned int, int)"),
  poll: native("int poll(_Inout_ void *, unsigned long, int)"),
  ioctl: native("int ioctl(int, unsigned long, const void *)"),
  syscall: native("long syscall(long, int, unsigned int, int)"),
};

const CLONE_NEWNET = 0x4000_0000;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const POLLIN = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

const SIOCETHTOOL = 0x8946;
const IFNAMSIZ = 16;

/** The number of membarrier(2): x86-64 has its own, the others share one. */
const SYS_MEMBARRIER = arch() === "x64" ? 324 : 283;
const MEMBARRIER_CMD_GLOBAL = 1;

function check(call: string, result: number): number {
  if (result < 0) throw new SystemError(call, koffi.errno());
  return result;
}

/** Read-only, without waiting for the other end of a pipe. */
export function open(path: string): number {
  return check(`open ${path}`, c.open(path, O_CLOEXEC | O_NONBLOCK));
}

/** An exclusive lock on an open file or directory, without waiting; it goes when the last copy of `fd` is closed. */
export function lockFile(fd: number): void {
  check("flock", c.flock(fd, LOCK_EX | LOCK_NB));
}

export function socket(domain: number, type: number, protocol: number): number {
  return check("socket", c.socket(domain, type, protocol));
}

export function bind(fd: number, address: Uint8Array): void {
  check("bind", c.bind(fd, address, address.length));
}

const four = Buffer.alloc(4);
export function setsockopt(fd: number, level: number, option: number, value: number): void {
  four.writeInt32LE(value);
  check("setsockopt", c.setsockopt(fd, level, option, four, four.length));
}

/** The host joins a group by one of its devices, until the socket is closed (struct group_req). */
export function joinGroup(fd: number, level: number, index: number, address: Buffer): void {
  const request = Buffer.alloc(8 + 128);
  request.writeUInt32LE(index);
  address.copy(request, 8);
  check("setsockopt", c.setsockopt(fd, level, MCAST_JOIN_GROUP, request, request.length));
}

/** An instruction of a socket's filter: code, jump if true, jump if false, operand (struct sock_filter). */
export type FilterLine = readonly [code: number, yes: number, no: number, operand: number];

/** Drops what the filter gives 0 for before it waits in the socket; what waits already stays. */
export function attachFilter(fd: number, lines: readonly FilterLine[]): void {
  // Memory of its own: struct sock_fprog points to it.
  const program = Buffer.from(new ArrayBuffer(8 * lines.length));
  for (const [i, [code, yes, no, operand]] of lines.entries()) {
    program.writeUInt16LE(code, 8 * i);
    program.writeUInt8(yes, 8 * i + 2);
    program.writeUInt8(no, 8 * i + 3);
    program.writeUInt32LE(operand, 8 * i + 4);
  }
  const header = Buffer.alloc(16);
  header.writeUInt16LE(lines.length);
  header.writeBigUInt64LE(koffi.address(program), 8);
  check("setsockopt", c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length));
}

/** struct ethtool_value and struct ifreq, which points to it. Memory of their own: it may not move meanwhile. */
const asked = Buffer.from(new ArrayBuffer(8));
const ifreq = Buffer.alloc(40);
/**
 * A command of ethtool that takes or gives one number, about a device in the namespace of a socket of any kind. Gives
 * the number.
 */
export function ethtool(fd: number, device: string, command: number, value = 0): number {
  assert(device.length < IFNAMSIZ, `${device} is no name of a device`);
  asked.writeUInt32LE(command, 0);
  asked.writeUInt32LE(value, 4);
  ifreq.fill(0).write(device, "latin1");
  ifreq.writeBigUInt64LE(koffi.address(asked), IFNAMSIZ);
  check(`ethtool ${device}`, c.ioctl(fd, SIOCETHTOOL, ifreq));
  return asked.readUInt32LE(4);
}

/** Sends the first `length` bytes in one datagram. */
export function send(fd: number, bytes: Uint8Array, length: number): void {
  assert(check("send", c.send(fd, bytes, length, 0)) === length, "a datagram is sent whole or not at all");
}

/**
 * The same in a thread of the pool, for a send that the kernel makes wait. The bytes must not change before it
 * resolves; koffi keeps them alive until then.
 */
export function sendAsync(fd: number, bytes: Uint8Array, length: number): Promise<void> {
  return inPool("send", length, (done) => c.send.async(fd, bytes, length, 0, done));
}

/** Resolves when a thread of the pool has made a call with this result. */
function inPool(call: string, good: number, make: (done: (error: unknown, result: number) => void) => void) {
  return new Promise<void>((resolve, reject) => {
    make((error, result) => {
      if (result === good) resolve();
      else reject(error instanceof Error ? error : new SystemError(call, koffi.errno()));
    });
  });
}

/** Sends one datagram to an address (struct sockaddr), without waiting for room. */
export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array): void {
  check("sendto", c.sendto(fd, bytes, bytes.length, MSG_DONTWAIT, address, address.length));
}

/**
 * Receives one datagram and the address of its sender without waiting; what does not fit is cut off. -1 if there is
 * none.
 */
export function recvFrom(fd: number, into: Uint8Array, sender: Uint8Array): number {
  return received("recvfrom", c.recvfrom(fd, into, into.length, MSG_DONTWAIT, sender, [sender.length]));
}

function received(call: string, length: number): number {
  return length < 0 && koffi.errno() === EAGAIN ? -1 : check(call, length);
}

/** Receives one datagram without waiting; asserts that it fits. -1 if there is none. */
export function recvNow(fd: number, into: Uint8Array): number {
  const length = received("recv", c.recv(fd, into, into.length, MSG_DONTWAIT | MSG_TRUNC));
  assert(length <= into.length, `a datagram of ${length} bytes does not fit into ${into.length}`);
  return length;
}

export function close(fd: number): void {
  check("close", c.close(fd));
}

/** Moves the calling thread into the network namespace behind `fd`. */
export function setns(fd: number): void {
  check("setns", c.setns(fd, CLONE_NEWNET));
}

/** Moves the calling thread into a new network namespace. */
export function unshareNetwork(): void {
  check("unshare", c.unshare(CLONE_NEWNET));
}

export function mount(source: string, target: string, type: string, flags: number): void {
  check(`mount ${target}`, c.mount(source, target, type, flags, null));
}

export function umount(target: string, flags: number): void {
  check(`umount ${target}`, c.umount2(target, flags));
}

/** A file descriptor that becomes readable when 8 bytes are written to it. */
export function eventfd(): number {
  return check("eventfd", c.eventfd(0, O_CLOEXEC | O_NONBLOCK));
}

/**
 * Waits in a thread of the pool until one of the descriptors is readable or the time is over; resolves with the
 * readable.
 */
export function pollReadable(fds: readonly number[], timeoutMs: number): Promise<number[]> {
  // struct pollfd { int fd; short events; short revents; }
  const set = Buffer.alloc(fds.length * 8);
  for (const [i, fd] of fds.entries()) {
    set.writeInt32LE(fd, i * 8);
    set.writeInt16LE(POLLIN, i * 8 + 4);
  }
  return new Promise((resolve) => {
    // An interrupted poll is the same as one that found nothing: the caller polls again.
    c.poll.async(set, fds.length, timeoutMs, () => resolve(fds.filter((_, i) => set.readInt16LE(i * 8 + 6) !== 0)));
  });
}

/**
 * Waits in a thread of the pool until every CPU has left what it was doing in the kernel under RCU when this was
 * called: MEMBARRIER_CMD_GLOBAL is synchronize_rcu() (kernel/sched/membarrier.c), 10 to 30 ms.
 */
export function graceAsync(): Promise<void> {
  return inPool("membarrier", 0, (done) => c.syscall.async(SYS_MEMBARRIER, MEMBARRIER_CMD_GLOBAL, 0, 0, done));
}
