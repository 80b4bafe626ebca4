// Cuts what a server of JSON-RPC 1.0 sends into its messages. RFC 7047 has no frames: one JSON object follows another,
// in pieces of any size. Each byte is looked at once, so a message costs the same in one piece or in ten thousand.
import { Fault } from "../../model/fault.ts";

/** A message of more bytes is not read to its end. Ten thousand ports are some 8 MB. */
const MESSAGE_MAX = 64 * 1024 * 1024;
/** Deeper than any answer; JSON.parse of what is nested without end would take the stack. */
const DEPTH_MAX = 100;

const [QUOTE, BACKSLASH, OPEN, CLOSE] = [0x22, 0x5c, 0x7b, 0x7d];
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d];
const SPACES: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** A message as it came: an object, whatever is in it. */
export type Message = Readonly<Record<string, unknown>>;

export class Frames {
  readonly #most: number;
  /** The beginning of a message whose end has not come. */
  #parts: Buffer[] = [];
  #size = 0;
  #depth = 0;
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
    if (this.#depth > 0) this.#keep(Buffer.from(piece.subarray(from)));
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
    } else if (byte === CLOSE || byte === CLOSE_LIST) return --this.#depth === 0;
    return false;
  }

  #keep(part: Buffer): void {
    this.#size += part.length;
    if (this.#size > this.#most) throw garbled(`a message has more than ${this.#most} bytes`);
    this.#parts.push(part);
  }

  #whole(last: Buffer): Message {
    this.#keep(last);
    const bytes = this.#parts.length === 1 ? last : Buffer.concat(this.#parts, this.#size);
    this.#parts = [];
    this.#size = 0;
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
