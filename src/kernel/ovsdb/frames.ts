// Cuts what a server of JSON-RPC 1.0 sends into its messages. RFC 7047 has no frames: one JSON object follows another,
// in pieces of any size. Each byte is looked at once, so a message costs the same in one piece or in ten thousand.
import { Fault } from "../../model/fault.ts";

/** A message of more bytes is not read to its end. Ten thousand ports are some 8 MB. */
const MESSAGE_MAX = 32 * 1024 * 1024;
/** Objects and lists in a message: parsed, each takes some 60 bytes, as text two. Ten thousand ports have 300,000. */
const PARTS_MAX = 2_000_000;
/** Deeper than any answer; JSON.parse of what is nested without end would take the stack. */
const DEPTH_MAX = 100;
const FIRST_SIZE = 64 * 1024;

const [QUOTE, BACKSLASH, OPEN, CLOSE] = [0x22, 0x5c, 0x7b, 0x7d];
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d];
const SPACES: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** A message as it came: an object, whatever is in it. */
export type Message = Readonly<Record<string, unknown>>;

export class Frames {
  readonly #most: number;
  /** The beginning of a message whose end has not come: the first bytes of a buffer, which grows. */
  #kept = Buffer.alloc(0);
  #size = 0;
  #depth = 0;
  #parts = 0;
  #isInText = false;
  #isEscaped = false;

  constructor(most = MESSAGE_MAX) {
    this.#most = most;
  }

  /** The messages that end in this piece. Throws a Fault if it is no such stream, which then cannot be read on. */
  push(piece: Buffer): Message[] {
    const messages: Message[] = [];
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      if (this.#depth === 0) {
        if (SPACES.has(piece[at])) continue;
        if (piece[at] !== OPEN) throw garbled(`a message begins with ${JSON.stringify(textOf(piece, at))}`);
        from = at;
      }
      if (!this.#isLast(piece[at] ?? 0)) continue;
      messages.push(this.#whole(piece.subarray(from, at + 1)));
    }
    if (this.#depth > 0) this.#keep(piece.subarray(from));
    return messages;
  }

  /** Whether a message ends with this byte. In UTF-8, none of the bytes that count is part of another character. */
  #isLast(byte: number): boolean {
    if (this.#isInText) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) this.#isInText = false;
      return false;
    }
    if (byte === QUOTE) this.#isInText = true;
    else if (byte === OPEN || byte === OPEN_LIST) {
      if (++this.#depth > DEPTH_MAX) throw garbled(`a message is nested more than ${DEPTH_MAX} deep`);
      if (++this.#parts > PARTS_MAX) throw garbled(`a message has more than ${PARTS_MAX} objects and lists`);
    } else if (byte === CLOSE || byte === CLOSE_LIST) return --this.#depth === 0;
    return false;
  }

  #keep(part: Buffer): void {
    const size = this.#size + part.length;
    if (size > this.#most) throw garbled(`a message has more than ${this.#most} bytes`);
    if (size > this.#kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_SIZE, size * 2));
      this.#kept.copy(larger, 0, 0, this.#size);
      this.#kept = larger;
    }
    part.copy(this.#kept, this.#size);
    this.#size = size;
  }

  #whole(last: Buffer): Message {
    if (this.#size > 0) this.#keep(last);
    const bytes = this.#size === 0 ? last : this.#kept.subarray(0, this.#size);
    this.#kept = Buffer.alloc(0);
    this.#size = 0;
    this.#parts = 0;
    if (bytes.length > this.#most) throw garbled(`a message has more than ${this.#most} bytes`);
    try {
      return JSON.parse(UTF8.decode(bytes)) as Message;
    } catch (cause) {
      throw garbled(`a message is no JSON (${textOf(bytes, 0)})`, cause);
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

function textOf(bytes: Buffer, from: number): string {
  return bytes.toString("latin1", from, from + 40);
}

/** What the server said cannot be meant: whatever else it said is not believed, and the connection ends. */
export function garbled(why: string, cause?: unknown): Fault {
  return new Fault(
    "unavailable",
    {
      what: "the Open vSwitch database answers what cannot be understood",
      why,
      fix: "look whether ovsdb-server listens at this socket, and at its log; Weft connects again by itself",
    },
    { cause },
  );
}
