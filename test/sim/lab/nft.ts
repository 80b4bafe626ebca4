// Reads Weft's nft tables as the kernel would: runs one packet, as bytes, through the chains of a hook. It knows the
// words that the tables use and no more, and fails at one that it does not know. Shares nothing with what writes the
// tables.
import assert from "node:assert/strict";
import { cidrOf, ipOf } from "../../../src/model/address.ts";

/** An Ethernet frame on its way; `mark` and `priority` are the packet's within one host. */
export type Frame = {
  readonly bytes: Uint8Array;
  readonly iifname: string;
  readonly oifname: string;
  mark: number;
  priority: number;
};
/** What sets and maps hold: keys as their parts, with the value of a map's. */
export type Elements = (set: string) => readonly { readonly key: readonly string[]; readonly value?: string }[];
type Hook = "prerouting" | "forward" | "output" | "postrouting";
type Value = bigint | string;
/** What a line ends with, and for which chain. */
type Went = readonly [string, string | undefined];
type Verdict = "accept" | "drop" | undefined;

export class Table {
  readonly #chains: ReadonlyMap<string, readonly string[][]>;
  readonly #elements: Elements;
  /** What packets put into sets. */
  readonly #remembered = new Set<string>();

  constructor(text: string, elements: Elements) {
    const chains = [...text.matchAll(/^chain (\S+) \{\n((?: {2}.*\n)*)\}$/gm)].map(
      ([, name = "", body = ""]) => [name, body] as const,
    );
    // Two tables of one namespace may both have a chain of a name; those of hooks are told by what they hook.
    const named = chains.map(([name, body]) => [nameOf(name, body), body.trim().split("\n").map(tokensOf)] as const);
    this.#chains = new Map(named);
    this.#elements = elements;
  }

  /** Whether a hook lets the frame through; one that is not there does. `at`: its type and priority. */
  passes(hook: Hook, at: string, frame: Frame): boolean {
    const name = `${hook} ${at}`;
    return !this.#chains.has(name) || this.#run(name, frame, 0) !== "drop";
  }

  #run(name: string, frame: Frame, depth: number): Verdict {
    const rules = this.#chains.get(name);
    assert(rules !== undefined && depth < 16, `no chain ${name}`);
    for (const tokens of rules) {
      const verdict = new Rule(tokens, frame, this).run();
      if (verdict === undefined) continue;
      const [word, target = ""] = verdict;
      if (word === "accept" || word === "drop") return word;
      const inner = this.#run(target, frame, depth + 1);
      if (word === "goto" || inner !== undefined) return inner;
    }
    return undefined;
  }

  /** Values of the element with that key; undefined if there is none. */
  find(set: string, key: readonly Value[]): { readonly value?: string } | undefined {
    if (this.#remembered.has(`${set} ${key.join()}`)) return {};
    return this.#elements(set).find((one) => one.key.every((part, i) => isIn(key[i], part)));
  }

  forget(): void {
    this.#remembered.clear();
  }

  remember(set: string, key: readonly Value[]): void {
    this.#remembered.add(`${set} ${key.join()}`);
  }
}

function nameOf(name: string, body: string): string {
  const [, type, hook, priority] = /^ {2}type (\S+) hook (\S+) priority ([^;]+);/.exec(body) ?? [];
  return hook === undefined ? name : `${hook} ${type} ${priority}`;
}

function tokensOf(line: string): string[] {
  return [...line.matchAll(/"[^"]*"|[{}]|[^\s{}]+/g)].flatMap(([token]) =>
    token.length > 1 && token.endsWith(",") ? [token.slice(0, -1), ","] : [token],
  );
}

const VERDICTS = ["accept", "drop", "goto", "jump"];
const TWO_WORDS = ["frag", "ip", "ip6", "tcp", "udp", "icmp", "icmpv6", "ether", "meta"];

/** One line of a chain on its way through: what does not match ends it. */
class Rule {
  readonly #tokens: readonly string[];
  readonly #frame: Frame;
  readonly #table: Table;
  #at = 0;

  constructor(tokens: readonly string[], frame: Frame, table: Table) {
    this.#tokens = tokens;
    this.#frame = frame;
    this.#table = table;
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? assert.fail(`a rule ends early: ${this.#tokens.join(" ")}`);
  }

  #skips(word: string): boolean {
    if (this.#tokens[this.#at] !== word) return false;
    this.#at++;
    return true;
  }

  run(): Went | undefined {
    while (this.#at < this.#tokens.length) {
      const [word = "", after] = this.#tokens.slice(this.#at);
      if (VERDICTS.includes(word)) return [word, after];
      if (word === "reject") return ["drop", undefined];
      if (word === "type" || word === "comment") return undefined;
      if (this.#skips("notrack") || this.#skips("masquerade") || this.#skips("counter")) continue;
      const went = this.#statement();
      if (went !== true) return went === false ? undefined : went;
    }
    return undefined;
  }

  /** True: goes on with the line. */
  #statement(): boolean | Went {
    if (this.#skips("log")) return this.#skips("prefix") && this.#next() !== "";
    if (this.#skips("limit")) return this.#next() === "rate" && !this.#skips("over") && this.#next() !== "";
    if (this.#skips("update") || this.#skips("add")) return this.#update();
    const [a, b, c] = this.#tokens.slice(this.#at);
    if (a === "meta" && b === "mark" && c === "set") {
      this.#at += 3;
      return this.#setMark();
    }
    if (a === "meta" && b === "priority" && c === "set") {
      this.#at += 3;
      this.#frame.priority = Number(numberOf(this.#next()));
      return true;
    }
    if (a === "fib") {
      this.#at += 3;
      const isNegated = this.#skips("!=");
      // The frame has been brought to a host that has the address.
      return (this.#next() === "local") !== isNegated;
    }
    return this.#match();
  }

  #update(): boolean {
    const set = this.#next().slice(1);
    const inner = this.#braces();
    // Of what is limited, the first is always within.
    if (inner.includes("limit")) return !inner.includes("over");
    const until = inner.indexOf("timeout");
    const words = until < 0 ? inner : inner.slice(0, until);
    const key = new Rule(words, this.#frame, this.#table).fields();
    if (key === undefined) return false;
    this.#table.remember(set, key);
    return true;
  }

  #setMark(): boolean {
    const first = this.#tokens[this.#at] ?? "";
    if (/^\d/.test(first)) {
      this.#frame.mark = Number(this.#next());
      return true;
    }
    const key = this.fields();
    if (!this.#skips("map") || key === undefined) return false;
    const found = this.#table.find(this.#next().slice(1), key);
    if (found?.value === undefined) return false;
    this.#frame.mark = Number.parseInt(found.value, 16);
    return true;
  }

  #match(): boolean | Went {
    const key = this.fields();
    const masked = this.#skips("&") ? numberOf(this.#next()) : undefined;
    const added = masked !== undefined && this.#skips("|") ? numberOf(this.#next()) : 0n;
    const value =
      masked === undefined
        ? key
        : key?.map((part) => nameIn(typeof part === "bigint" ? (part & masked) | added : part));
    if (this.#skips("vmap")) return this.#vmap(value);
    if (this.#skips(">=")) return typeof value?.[0] === "bigint" && value[0] >= numberOf(this.#next());
    const isNegated = this.#skips("!=");
    if (!isNegated) this.#skips("==");
    const isThere = this.#isAmong(value);
    return value !== undefined && isThere !== isNegated;
  }

  #isAmong(value: readonly Value[] | undefined): boolean {
    if (this.#tokens[this.#at] === "{") {
      const members = partsOf(this.#braces(), ",").map((member) => partsOf(member, ".").map((part) => part.join("")));
      return members.some((member) => value !== undefined && member.every((part, i) => isIn(value[i], part)));
    }
    const word = this.#next();
    if (word.startsWith("@")) return value !== undefined && this.#table.find(word.slice(1), value) !== undefined;
    return isIn(value?.[0], word);
  }

  #vmap(value: readonly Value[] | undefined): boolean | Went {
    for (const entry of partsOf(this.#braces(), ",")) {
      const [key = [], verdict = []] = partsOf(entry, ":");
      if (isIn(value?.[0], key.join(""))) return [verdict[0] ?? "", verdict[1]];
    }
    return false;
  }

  /** What stands within the next braces. */
  #braces(): readonly string[] {
    assert.equal(this.#next(), "{");
    const from = this.#at;
    while (this.#next() !== "}");
    return this.#tokens.slice(from, this.#at - 1);
  }

  /** Fields joined with dots; undefined if the packet does not have one of them. */
  fields(): readonly Value[] | undefined {
    const values: (Value | undefined)[] = [];
    do {
      const word = this.#next();
      const name = TWO_WORDS.includes(word) ? `${word} ${this.#next()}` : word;
      values.push(fieldOf(name, this.#frame));
    } while (this.#skips("."));
    return values.includes(undefined) ? undefined : values.filter((value) => value !== undefined);
  }
}

function partsOf(tokens: readonly string[], separator: string): string[][] {
  const parts: string[][] = [[]];
  for (const token of tokens) {
    if (token === separator) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}

const ETHER = { ip: 0x0800n, ip6: 0x86ddn, arp: 0x0806n, "8021q": 0x8100n, "8021ad": 0x88a8n } as const;
const PROTOCOLS: Readonly<Record<string, bigint>> = { tcp: 6n, udp: 17n, icmp: 1n, igmp: 2n, gre: 47n, icmpv6: 58n };
const PACKET_TYPES: Readonly<Record<string, bigint>> = { host: 0n, unicast: 0n, broadcast: 1n, multicast: 2n };
/** Where fields are, and what a packet has to be for that: header, first bit, bits. */
const PLACES: Readonly<Record<string, readonly [string, number, number]>> = {
  "ip saddr": ["ip", 96, 32],
  "ip daddr": ["ip", 128, 32],
  "ip6 saddr": ["ip6", 64, 128],
  "ip6 daddr": ["ip6", 192, 128],
  "ip6 length": ["ip6", 32, 16],
  "tcp sport": ["tcp", 0, 16],
  "tcp dport": ["tcp", 16, 16],
  "udp sport": ["udp", 0, 16],
  "udp dport": ["udp", 16, 16],
  "icmp type": ["icmp", 0, 8],
  "icmpv6 type": ["icmpv6", 0, 8],
  "ether daddr": ["ether", 0, 48],
  "ether saddr": ["ether", 48, 48],
  "ether type": ["ether", 96, 16],
  "meta protocol": ["ether", 96, 16],
};

function fieldOf(name: string, frame: Frame): Value | undefined {
  if (name === "iifname" || name === "oifname") return frame[name];
  if (name === "meta mark") return BigInt(frame.mark);
  if (name === "meta priority") return BigInt(frame.priority);
  // Nothing here is in fragments.
  if (name === "frag frag-off") return undefined;
  const { bytes } = frame;
  if (name === "meta pkttype") return kindOfTarget(bytes);
  const type = bitsOf(bytes, 96, 16);
  const head = type === ETHER.ip ? 20 : 40;
  const protocol = type === ETHER.ip ? bitsOf(bytes, 14 * 8 + 72, 8) : bitsOf(bytes, 14 * 8 + 48, 8);
  if (name === "meta l4proto") return protocol;
  const [, header, first, length] = /^@(ll|nh|th),(\d+),(\d+)$/.exec(name) ?? [];
  const start = { ll: 0, nh: 14, th: 14 + head }[header ?? ""];
  if (start !== undefined) return bitsOf(bytes, start * 8 + Number(first), Number(length));
  const [kind, at, bits] = PLACES[name] ?? assert.fail(`the tables use a field that is not known here: ${name}`);
  if (kind === "ether") return bitsOf(bytes, at, bits);
  if (kind === "ip" || kind === "ip6") return type === ETHER[kind] ? bitsOf(bytes, 14 * 8 + at, bits) : undefined;
  return protocol === PROTOCOLS[kind] ? bitsOf(bytes, (14 + head) * 8 + at, bits) : undefined;
}

/** To one, to all, or to many. */
function kindOfTarget(bytes: Uint8Array): bigint {
  if (((bytes[0] ?? 0) & 1) === 0) return 0n;
  return bytes.subarray(0, 6).every((byte) => byte === 255) ? 1n : 2n;
}

function bitsOf(bytes: Uint8Array, from: number, length: number): bigint | undefined {
  if (from + length > bytes.length * 8) return undefined;
  let value = 0n;
  for (let i = from; i < from + length; i += 8) value = (value << 8n) | BigInt(bytes[i >> 3] ?? 0);
  return value >> BigInt((8 - (length % 8)) % 8);
}

/** Whether a value is what a word of the table says: a name, with `*` at its end, a number, an address, a range. */
function isIn(value: Value | undefined, word: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "string") {
    const name = word.replaceAll('"', "");
    return name.endsWith("*") ? value.startsWith(name.slice(0, -1)) : value === name;
  }
  const cidr = word.includes("/") ? cidrOf(word) : undefined;
  if (cidr !== undefined) {
    const shift = BigInt((cidr.family === 4 ? 32 : 128) - cidr.length);
    return value >> shift === cidr.base >> shift;
  }
  const [first = "", last = first] = word.split("-");
  return numberOf(first) <= value && value <= numberOf(last);
}

/** A number as long as a device's name can be is one. */
function nameIn(value: Value): Value {
  if (typeof value === "string" || value >> 64n === 0n) return value;
  return Buffer.from(value.toString(16).padStart(32, "0"), "hex").toString().replaceAll("\0", "");
}

function numberOf(word: string): bigint {
  // As traffic control writes them: both in hexadecimal digits.
  const [, major, minor] = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(word) ?? [];
  if (major !== undefined) return BigInt(`0x${major}${(minor ?? "").padStart(4, "0")}`);
  if (/^(0x[0-9a-f]+|\d+)$/.test(word)) return BigInt(word);
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(word)) return BigInt(`0x${word.replaceAll(":", "")}`);
  const ip =
    ipOf(word)?.value ?? (ETHER as Readonly<Record<string, bigint>>)[word] ?? PROTOCOLS[word] ?? PACKET_TYPES[word];
  return ip ?? assert.fail(`the tables use a word that is not known here: ${word}`);
}
