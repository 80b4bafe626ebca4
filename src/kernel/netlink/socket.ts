// A netlink socket of one namespace: sends a batch and learns what became of each message, or dumps a table.
// Synchronous, because the kernel answers rtnetlink inside send(): every reply waits in the receive queue when send()
// returns.
//
// Only the last message of a batch asks for an acknowledgement: errors come anyway, in order, so a batch of a thousand
// entries is answered by one datagram, and the receive queue cannot overflow with good news.
import { EINVAL, SystemError } from "../errno.ts";
import * as libc from "../libc.ts";
import * as k from "./constants.ts";
import { type Layout, MessageWriter, type Received, eachMessage, fill, textAt } from "./wire.ts";

/**
 * Messages per send: with as many errors, each with text (1.3 KiB of queue), the default receive queue holds all
 * answers.
 */
export const BATCH_MESSAGES = 128;
/** Bytes per send, below the least default of wmem (212,992) with room for one more message. */
export const BATCH_BYTES = 128 * 1024;
/** For events, which come unasked. */
const EVENT_QUEUE_BYTES = 1024 * 1024;
/** The kernel packs dumps into at most 32 KiB per datagram. */
const DATAGRAM_BYTES = 256 * 1024;
const DUMP_ATTEMPTS = 20;
const HOSTILE_ATTEMPTS = 3;

/** One for all sockets: everything here is synchronous. */
const inbox = Buffer.allocUnsafe(DATAGRAM_BYTES);
const question = new MessageWriter(1024);

/** A request, what its body is behind the header, and what each message of the answer says. */
export type Question<T> = {
  readonly type: number;
  readonly flags?: number;
  readonly write: (w: MessageWriter) => void;
  readonly read: (message: Received) => T;
};
type Wanted<T> = (item: T) => boolean;
const anything = () => true;

/** A message the kernel refused: by its sequence number, with errno and the kernel's own words. */
export type OnError = (seq: number, errno: number, text: string) => void;

export class NetlinkSocket {
  readonly fd: number;
  #seq = 0;
  #isStrict = false;

  /**
   * Belongs to the namespace that the calling thread is in. Some live for one attach only, so nothing is set in vain.
   */
  constructor(protocol: number) {
    this.fd = libc.socket(k.AF_NETLINK, k.SOCK_RAW_CLOEXEC, protocol);
    libc.setsockopt(this.fd, k.SOL_NETLINK, k.NETLINK_EXT_ACK, 1);
  }

  nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0;
    return this.#seq;
  }

  /**
   * Receives what happens from now on. Binds first: an unbound socket has the port of the kernel, who does not tell
   * itself.
   */
  listen(groups: readonly number[]): void {
    const address = Buffer.alloc(12);
    address.writeUInt16LE(k.AF_NETLINK);
    libc.bind(this.fd, address);
    libc.setsockopt(this.fd, k.SOL_SOCKET, k.SO_RCVBUFFORCE, EVENT_QUEUE_BYTES);
    for (const group of groups) libc.setsockopt(this.fd, k.SOL_NETLINK, k.NETLINK_ADD_MEMBERSHIP, group);
  }

  /** Room for as many errors as a large transaction may have. */
  widen(): void {
    libc.setsockopt(this.fd, k.SOL_SOCKET, k.SO_RCVBUFFORCE, EVENT_QUEUE_BYTES);
    libc.setsockopt(this.fd, k.SOL_SOCKET, k.SO_SNDBUFFORCE, EVENT_QUEUE_BYTES);
  }

  /** Sends the batch (at least one message) and reads until its last message is acknowledged. */
  transact(batch: MessageWriter, onError: OnError, onReply?: (reply: Received) => void): void {
    batch.askForAck();
    libc.send(this.fd, batch.bytes, batch.finish());
    this.#collect(batch.firstSeq, batch.lastSeq, onError, onReply);
  }

  /** transact() for what the kernel makes wait: the thread that waits is one of the pool. */
  async transactAsync(batch: MessageWriter, onError: OnError): Promise<void> {
    batch.askForAck();
    await libc.sendAsync(this.fd, batch.bytes, batch.finish());
    this.#collect(batch.firstSeq, batch.lastSeq, onError);
  }

  /**
   * Sends a batch of netfilter, which is answered inside send(): what was refused, and what asked for it acknowledged.
   */
  exchange(batch: MessageWriter, onError: OnError): void {
    libc.send(this.fd, batch.bytes, batch.finish());
    let isAnswered = false;
    for (let length = libc.recvNow(this.fd, inbox); length >= 0; length = libc.recvNow(this.fd, inbox)) {
      eachMessage(inbox, length, (message) => {
        if (message.type !== k.NLMSG_ERROR || message.seq < batch.firstSeq || message.seq > batch.lastSeq) return;
        isAnswered = true;
        tellError(message, onError);
      });
    }
    if (!isAnswered) throw new SystemError("netlink gave no answer", EINVAL);
  }

  #collect(first: number, last: number, onError: OnError, onReply?: (reply: Received) => void): void {
    let isDone = false;
    while (!isDone) {
      const length = libc.recvNow(this.fd, inbox);
      if (length < 0) throw new SystemError("netlink gave no answer", EINVAL);
      eachMessage(inbox, length, (message) => {
        // Left over from an exchange that ended in an exception.
        if (message.seq < first || message.seq > last) return;
        if (message.type !== k.NLMSG_ERROR) return onReply?.(message);
        tellError(message, onError);
        isDone ||= message.seq === last;
      });
    }
  }

  /**
   * Every object of a dump that `isWanted`. A dump that the kernel marks as interrupted by a change is forgotten and
   * taken again; throws SystemError if that does not end.
   */
  list<T>(asked: Question<T>, isWanted: Wanted<T> = anything): T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const { items, isConsistent } = this.#dump(asked, isWanted);
      if (isConsistent) return items;
    }
    throw new SystemError(`netlink dump ${asked.type} was interrupted ${DUMP_ATTEMPTS} times`, EINVAL);
  }

  /**
   * list() in a namespace whose root may be hostile, and change things faster than they are read: then what any of some
   * dumps had. What stays as it is all the time is in one of them. At `most` items it stops, and the socket with it:
   * what was left of the dump still comes before all answers, so nothing large should be asked of it any more.
   */
  listAny<T>(asked: Question<T>, isWanted: Wanted<T> = anything, most = Number.POSITIVE_INFINITY): T[] {
    const seen: T[] = [];
    for (let attempt = 0; attempt < HOSTILE_ATTEMPTS; attempt++) {
      const { items, isConsistent } = this.#dump(asked, isWanted, most);
      if (isConsistent || items.length >= most) return items;
      seen.push(...items);
    }
    return seen;
  }

  #dump<T>({ type, write, read }: Question<T>, isWanted: Wanted<T>, most = Number.POSITIVE_INFINITY) {
    // Dumps honour the filter in their request.
    if (!this.#isStrict) libc.setsockopt(this.fd, k.SOL_NETLINK, k.NETLINK_GET_STRICT_CHK, 1);
    this.#isStrict = true;
    const seq = this.nextSeq();
    question.reset();
    question.begin(type, k.NLM_F_REQUEST | k.NLM_F_DUMP, seq);
    write(question);
    libc.send(this.fd, question.bytes, question.finish());
    const items: T[] = [];
    const visit = (message: Received) => {
      const item = read(message);
      if (isWanted(item)) items.push(item);
    };
    const isConsistent = this.#readDump(seq, visit, () => items.length >= most);
    return { items, isConsistent };
  }

  /** Whether the dump is consistent. */
  #readDump(seq: number, visit: (message: Received) => void, isEnough: () => boolean): boolean {
    let isConsistent = true;
    let isDone = false;
    while (!isDone && !isEnough()) {
      const length = libc.recvNow(this.fd, inbox);
      if (length < 0) throw new SystemError("netlink gave no answer", EINVAL);
      eachMessage(inbox, length, (message) => {
        if (message.seq !== seq) return;
        if ((message.flags & k.NLM_F_DUMP_INTR) !== 0) isConsistent = false;
        if (message.type === k.NLMSG_DONE || message.type === k.NLMSG_ERROR) {
          isDone = true;
          const errno = message.end - message.start >= 4 ? -message.bytes.readInt32LE(message.start) : 0;
          if (errno > 0) throw new SystemError("netlink dump", errno);
        } else {
          visit(message);
        }
      });
    }
    return isConsistent;
  }

  /** One question with one answer; undefined if the kernel refuses it. */
  ask<T>({ type, flags = 0, write, read }: Question<T>): T | undefined {
    let answer: T | undefined;
    question.reset();
    question.begin(type, k.NLM_F_REQUEST | flags, this.nextSeq());
    write(question);
    const keep = (reply: Received) => {
      answer = read(reply);
    };
    this.transact(question, () => undefined, keep);
    return answer;
  }

  close(): void {
    libc.close(this.fd);
  }
}

function tellError(message: Received, onError: OnError): void {
  const errno = -message.bytes.readInt32LE(message.start);
  if (errno !== 0) onError(message.seq, errno, errorText(message));
}

const ERROR: Layout<{ text: string }> = { [k.NLMSGERR_ATTR_MSG]: ["text", textAt] };

/** What is behind the request that the error repeats whole or (NLM_F_CAPPED) as a header. */
function errorText(message: Received): string {
  if ((message.flags & k.NLM_F_ACK_TLVS) === 0) return "";
  const repeated = (message.flags & k.NLM_F_CAPPED) === 0 ? message.bytes.readUInt32LE(message.start + 4) : 16;
  return fill({ text: "" }, ERROR, message, 4 + ((repeated + 3) & ~3)).text;
}
