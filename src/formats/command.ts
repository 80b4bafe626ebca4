// Commands of iproute2 in files: a reader of the few forms that published recipes have in their `up` lines. What it
// does not know becomes a note with its line; it runs nothing.
import { FLOOD_MAC } from "../datapath/kinds/entries.ts";
import {
  type Drafts,
  type LinkDraft,
  OFFLOAD_OF_HOST,
  SETTERS,
  type Setter,
  addEntry,
  addNeighbour,
  addRoute,
  setKind,
} from "./draft.ts";
import type { PlanLink, Position } from "./plan.ts";
import { type Word, ipTextOf, macTextOf, note, problem, rowOf } from "./reading.ts";
import { routeOf } from "./routes.ts";

/** A command with what it is read into. */
type Run = { readonly drafts: Drafts; readonly at: Position; readonly line: string };

/** Whether a command only takes down what others made: nothing of it is lost when it is not read. */
export function isTeardown(line: string, iface: string): boolean {
  const [program = "", object = "", verb = "", ...rest] = wordsOf(line, iface) ?? [];
  const form = formOf(program, object, verb);
  return form !== undefined && (form.read === readNothing || (form.read === readLinkSet && rest.at(-1) === "down"));
}

/** Reads one command line into drafts; `iface` is what $IFACE stands for. */
export function readCommand(drafts: Drafts, at: Position, line: string, iface: string): void {
  const run: Run = { drafts, at, line };
  const words = wordsOf(line, iface);
  if (words === undefined) return unread(run, "only plain commands of ip and bridge are read");
  const [program = "", object = "", verb = "", ...rest] = words;
  const form = formOf(program, object, verb);
  if (form === undefined) unread(run, "this command is not read");
  else form.read(run, rest, verb);
}

function formOf(program: string, object: string, verb: string): Form | undefined {
  return FORMS.find(({ is }) => is.test(`${program.replace(/^\/(?:usr\/)?s?bin\//, "")} ${object} ${verb}`));
}

function readNothing(): void {
  // What it takes down, other lines make.
}

function unread({ drafts, at, line }: Run, why: string): undefined {
  return note(drafts.reading, at, line, why);
}

/** Longer ones are not meant, and looking for what ends a line takes steps with the square of its length. */
const COMMAND_MAX = 4_096;

/** Errors that a recipe ignores, and output that it throws away, change nothing of what is meant. */
function wordsOf(line: string, iface: string): readonly string[] | undefined {
  if (line.length > COMMAND_MAX) return undefined;
  const plain = line
    .replace(/\s*\|\|\s*(?:true|:)\s*$/, "")
    .replaceAll(/\s+(?:[12&]?>\s*\/dev\/null|2>&1)(?=\s|$)/g, "")
    .replaceAll(/\$\{IFACE\}|\$IFACE\b|"\$IFACE"|--interface--/g, () => iface)
    .replaceAll(/"([^"$`\\]*)"|'([^']*)'/g, (_, a?: string, b?: string) => a ?? b ?? "");
  return /[;&|<>$`"'\\(){}]/.test(plain) ? undefined : plain.trim().split(/\s+/).filter(isOption);
}

/** The family is clear from the addresses. */
const isOption = (word: string, i: number) => !(i === 1 && /^-[46]$/.test(word));

type Form = { readonly is: RegExp; readonly read: (run: Run, words: readonly string[], verb: string) => void };

const FORMS: readonly Form[] = [
  { is: /^ip l(?:ink|i)? a(?:dd)?$/, read: readLinkAdd },
  { is: /^ip l(?:ink|i)? set$/, read: readLinkSet },
  { is: /^ip l(?:ink|i)? del(?:ete)?$/, read: readNothing },
  { is: /^ip a(?:ddr(?:ess)?)? (?:add|replace)$/, read: readAddress },
  { is: /^ip (?:a(?:ddr(?:ess)?)?|r(?:oute)?|neigh(?:bou?r)?) del(?:ete)?$/, read: readNothing },
  { is: /^ip r(?:oute)? (?:add|replace|append)$/, read: readRoute },
  { is: /^ip n(?:eigh(?:bou?r)?)? (?:add|replace)$/, read: readNeighbour },
  { is: /^bridge fdb (?:add|append|replace)$/, read: readFdb },
  { is: /^bridge link set$/, read: readPortSet },
  // The verb's place is the device's.
  { is: /^ethtool (?:-K|--offload|--features) \S+$/, read: readFeatures },
];

/** Words with a position in the list: each step takes some. */
type Steps = { readonly words: readonly string[]; at: number };
const next = (steps: Steps): string => steps.words[steps.at++] ?? "";

const KINDS: Readonly<Record<string, PlanLink["kind"]>> = {
  bridge: "bridge",
  vxlan: "vxlan",
  gretap: "gretap",
  ip6gretap: "gretap",
  vlan: "vlan",
};

function readLinkAdd(run: Run, words: readonly string[]): void {
  const { drafts, at } = run;
  const steps: Steps = { words, at: 0 };
  const common = new Map<string, string>();
  let name: string | undefined;
  while (steps.at < words.length && words[steps.at] !== "type") {
    const word = next(steps);
    if (LINK_WORDS.has(word)) common.set(word, next(steps));
    else if (word === "name" || word === "dev") name = next(steps);
    else name ??= word;
  }
  next(steps);
  const type = next(steps);
  const kind = rowOf(KINDS, type);
  if (name === undefined || kind === undefined)
    return unread(run, type === "" ? "a device without a type is not read" : `devices of type ${type} are not read`);
  const draft = drafts.link(name, at);
  if (draft === undefined) return;
  setKind(drafts.reading, draft, kind, at);
  for (const [word, text] of common) setCommon(run, draft, word, text);
  readArguments(run, draft, steps);
}

const LINK_WORDS = new Set(["link", "address", "mtu", "master", "txqueuelen", "alias", "numtxqueues", "numrxqueues"]);

function setCommon(run: Run, draft: LinkDraft, word: string, text: string): void {
  const setter = rowOf(COMMON, word);
  if (setter === undefined) unread(run, `${word} is not read`);
  else setter(run.drafts.reading, draft, { text, at: run.at, of: word });
}

const COMMON: Readonly<Record<string, Setter>> = {
  link: SETTERS.dev,
  dev: SETTERS.dev,
  address: SETTERS.mac,
  mtu: SETTERS.mtu,
  master: SETTERS.master,
};

/** What follows the type, in the words of `ip link add`. */
const VALUED: Readonly<Record<string, Setter>> = {
  id: (reading, draft, word) => (draft.kind === "vxlan" ? SETTERS.vni : SETTERS.id)(reading, draft, word),
  vni: SETTERS.vni,
  group: SETTERS.group,
  remote: SETTERS.remote,
  local: SETTERS.local,
  dev: SETTERS.dev,
  ttl: SETTERS.ttl,
  hoplimit: SETTERS.ttl,
  dstport: SETTERS.port,
  key: SETTERS.key,
  protocol: SETTERS.protocol,
  proto: SETTERS.protocol,
  stp_state: SETTERS.stp,
  isolated: SETTERS.isolated,
  // In hundredths of a second.
  forward_delay: (reading, draft, word) =>
    SETTERS.forwardDelay(reading, draft, { ...word, text: hundredths(word.text) }),
};
const hundredths = (text: string) => (/^\d{1,6}$/.test(text) ? String(Number(text) / 100) : text);

/** Words without a value; `encaplimit none` and `srcport 0 0` are what the kernel or Weft does anyway. */
const BARE: Readonly<Record<string, (draft: LinkDraft) => void>> = {
  learning: (draft) => {
    draft.learning = true;
  },
  nolearning: (draft) => {
    draft.learning = false;
  },
  udpcsum: () => undefined,
  // Weft's GRE devices do both.
  nopmtudisc: () => undefined,
  "ignore-df": () => undefined,
};
const HARMLESS: readonly (readonly string[])[] = [
  ["encaplimit", "none"],
  ["srcport", "0", "0"],
];

function readArguments(run: Run, draft: LinkDraft, steps: Steps): void {
  const { words } = steps;
  while (steps.at < words.length) {
    const harmless = HARMLESS.find((known) => known.every((word, i) => words[steps.at + i] === word));
    if (harmless !== undefined) {
      steps.at += harmless.length;
      continue;
    }
    const word = next(steps);
    const valued = rowOf(VALUED, word);
    const bare = rowOf(BARE, word);
    if (bare !== undefined) bare(draft);
    else if (valued === undefined) return unread(run, `${word} and what follows it is not read`);
    else if (!readValue(run, draft, { word, setter: valued }, steps)) return;
  }
}

type Valued = { readonly word: string; readonly setter: Setter };

function readValue({ drafts, at, line }: Run, draft: LinkDraft, { word, setter }: Valued, steps: Steps): boolean {
  const text = next(steps);
  // Published pages have lost addresses: `group dev eth2`.
  if (text === "" || Object.hasOwn(VALUED, text)) {
    problem(drafts.reading, at, line, `${word} has no value`);
    return false;
  }
  setter(drafts.reading, draft, { text, at, of: word });
  return true;
}

function readLinkSet(run: Run, words: readonly string[]): void {
  // `dev`, `up` and the name come in any order.
  const at = words.findIndex((each) => !/^(dev|up|down)$/.test(each));
  const steps: Steps = { words, at: at < 0 ? words.length : at };
  const draft = run.drafts.link(next(steps), run.at);
  if (draft === undefined) return;
  while (steps.at < steps.words.length) {
    const word = next(steps);
    if (word === "up" || word === "down") continue;
    if (word === "type") {
      next(steps);
      return readArguments(run, draft, steps);
    }
    setCommon(run, draft, word, next(steps));
  }
}

function readPortSet(run: Run, words: readonly string[]): void {
  const pairs = pairsOf(words, []);
  const draft = deviceOf(run, pairs);
  const [unknown] = [...pairs.keys()].filter((word) => !["dev", "isolated"].includes(word));
  if (unknown !== undefined) return unread(run, `${unknown} is not read`);
  if (draft !== undefined)
    SETTERS.isolated(run.drafts.reading, draft, word(run, "isolated", pairs.get("isolated") ?? ""));
}

/** Checksums of what is sent; `tx` is all kinds of them, of which a tunnel has one. */
function readFeatures(run: Run, words: readonly string[], device: string): void {
  const { reading } = run.drafts;
  const pairs = pairsOf(words, []);
  const [unknown] = [...pairs.keys()].filter((one) => !/^tx(-checksumming|-checksum-ip-generic)?$/.test(one));
  if (unknown !== undefined) return note(reading, run.at, run.line, OFFLOAD_OF_HOST);
  const draft = run.drafts.link(device, run.at);
  for (const [of, text] of pairs) if (draft !== undefined) SETTERS.offload(reading, draft, word(run, of, text));
}

/** The pairs after the first word, as `dev eth0 via 10.0.0.1`; words of `flags` stand alone. */
function pairsOf(words: readonly string[], flags: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  const steps: Steps = { words, at: 0 };
  while (steps.at < words.length) {
    const word = next(steps);
    pairs.set(word, flags.includes(word) ? "" : next(steps));
  }
  return pairs;
}

function readAddress(run: Run, [address = "", ...rest]: readonly string[]): void {
  const pairs = pairsOf(rest, ["nodad", "noprefixroute"]);
  const draft = deviceOf(run, pairs);
  if (draft !== undefined) SETTERS.address(run.drafts.reading, draft, { text: address, at: run.at, of: "address" });
}

function deviceOf(run: Run, pairs: ReadonlyMap<string, string>): LinkDraft | undefined {
  const dev = pairs.get("dev");
  return dev === undefined ? unread(run, "it names no device (dev)") : run.drafts.link(dev, run.at);
}

function readRoute(run: Run, [to = "", ...rest]: readonly string[]): void {
  const pairs = pairsOf(rest, ["onlink"]);
  const draft = deviceOf(run, pairs);
  const unknown = [...pairs.keys()].find((word) => !["dev", "via", "onlink", "src", "metric", "proto"].includes(word));
  if (draft === undefined) return;
  if (unknown !== undefined) return unread(run, `${unknown} is not read`);
  const route = routeOf(run.drafts.reading, run.at, {
    to,
    via: pairs.get("via"),
    source: pairs.get("src"),
    metric: pairs.get("metric"),
    onlink: pairs.has("onlink"),
  });
  addRoute(draft, route, run.at);
}

function readNeighbour(run: Run, [address = "", ...rest]: readonly string[]): void {
  const { reading } = run.drafts;
  const pairs = pairsOf(rest, []);
  const draft = deviceOf(run, pairs);
  const ip = ipTextOf(reading, word(run, "address", address));
  const mac = macTextOf(reading, word(run, "lladdr", pairs.get("lladdr") ?? ""));
  if (draft !== undefined && ip !== undefined && mac !== undefined) addNeighbour(draft, { ip, mac }, run.at);
}

function readFdb(run: Run, [address = "", ...rest]: readonly string[]): void {
  const { reading } = run.drafts;
  const pairs = pairsOf(rest, ["self", "permanent", "static"]);
  const draft = deviceOf(run, pairs);
  const mac = macTextOf(reading, word(run, "entry", address));
  const unknown = [...pairs.keys()].find((key) => !["dev", "dst", "self", "permanent", "static"].includes(key));
  if (unknown !== undefined || !pairs.has("dst"))
    return unread(run, `${unknown ?? "an entry without dst"} is not read`);
  const dst = ipTextOf(reading, word(run, "dst", pairs.get("dst") ?? ""));
  if (draft === undefined || mac === undefined || dst === undefined) return;
  if (mac === FLOOD_MAC) SETTERS.remote(reading, draft, word(run, "dst", dst));
  else addEntry(draft, { mac, dst }, run.at);
}

function word({ at }: Run, of: string, text: string): Word {
  return { text, at, of };
}
