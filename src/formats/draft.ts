// A plan in the making: what readers have heard of each link so far. When all is read, a draft becomes a link if what
// was said makes one; every format is held to the same rules here.
import { VNI_LAST } from "../model/limits.ts";
import { familyOf } from "../model/address.ts";
import { defined } from "../model/defined.ts";
import { type LinkPlan, type PlanLink, type PlanNeighbour, type PlanRoute, type Position, saidAt } from "./plan.ts";
import {
  type Reading,
  type Word,
  flagOf,
  ipTextOf,
  isGroup,
  macTextOf,
  note,
  numberOf,
  problem,
  spreadTextOf,
} from "./reading.ts";

/** What has been said of one link; of two values for one field, the later one counts, as for the tools. */
export type LinkDraft = {
  readonly name: string;
  readonly at: Position;
  readonly where: Map<string, Position>;
  /** Fields whose value was refused: that they are missing is not said as well. */
  readonly wrong: Set<string>;
  kind?: PlanLink["kind"];
  master?: string;
  isolated?: boolean;
  offload?: boolean;
  mtu?: number;
  mac?: string;
  readonly addresses: string[];
  readonly routes: PlanRoute[];
  readonly neighbours: PlanNeighbour[];
  readonly remotes: string[];
  readonly fdb: { readonly mac: string; readonly dst: string }[];
  vni?: number;
  port?: number;
  learning?: boolean;
  group?: string;
  local?: string;
  dev?: string;
  ttl?: number;
  key?: number;
  stp?: boolean;
  forwardDelay?: number;
  id?: number;
  outer?: boolean;
};

/** Why switches of other devices than tunnels are not read. */
export const OFFLOAD_OF_HOST =
  "switches of the device itself stay as the host has them; Weft's own are `offload` of the network";
/** Links that one import may have: hosts have some hundred. */
const LINKS_MAX = 4_096;
/** Addresses and remote hosts of a link. */
const LIST_MAX = 4_096;
/** What the kernel gives a VXLAN device without a port (it is older than RFC 7348), and a bridge. */
const KERNEL_DEFAULTS = { port: 8472, forwardDelay: 15 } as const;

/** Drafts of links by name. */
export class Drafts {
  readonly reading: Reading;
  readonly #links = new Map<string, LinkDraft>();

  constructor(reading: Reading) {
    this.reading = reading;
  }

  /** The draft of this name, made at its first mention; undefined, with a problem, if that is no name of a device. */
  link(name: string, at: Position): LinkDraft | undefined {
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    if (!/^[^\s/:%$`"'\\;|&<>()\ufffd]{1,15}$/.test(name) || name === "." || name === "..")
      return problem(this.reading, at, name, "this cannot be the name of a device");
    if (this.#links.size >= LINKS_MAX)
      return problem(this.reading, at, name, `there are more than ${LINKS_MAX} devices`);
    const lists = { addresses: [], routes: [], neighbours: [], remotes: [], fdb: [] };
    const draft: LinkDraft = { name, at, where: new Map(), wrong: new Set(), ...lists };
    this.#links.set(name, draft);
    return draft;
  }

  /** What is known of a name, without making a draft. */
  known(name: string): LinkDraft | undefined {
    return this.#links.get(name);
  }

  names(): readonly string[] {
    return [...this.#links.keys()];
  }

  plan(): LinkPlan {
    for (const name of this.names()) this.#mention(name);
    return { links: [...this.#links.values()].flatMap((draft) => linkOf(this.reading, draft) ?? []) };
  }

  /** Devices that others need are links, too. */
  #mention(name: string): void {
    const draft = this.known(name);
    if (draft?.dev !== undefined) this.link(draft.dev, draft.at);
    if (draft?.master === undefined) return;
    const bridge = this.link(draft.master, draft.at);
    if (bridge !== undefined) bridge.kind ??= "bridge";
  }
}

/** The kind of a link, which its later mentions may not change. */
export function setKind(reading: Reading, draft: LinkDraft, kind: PlanLink["kind"], at: Position): void {
  if (draft.kind === undefined) draft.where.set("kind", at);
  if (draft.kind === undefined || draft.kind === kind) draft.kind = kind;
  else problem(reading, at, draft.name, `it is a ${kind} here, and a ${draft.kind} elsewhere`);
}

/** Readers of one value each, by the field that it is for; a wrong value is a problem, and changes nothing. */
export const SETTERS = {
  mtu: number("mtu", [68, 65_535]),
  vni: number("vni", [1, VNI_LAST]),
  port: number("port", [1, 65_535]),
  key: number("key", [0, 0xffff_ffff]),
  id: number("id", [1, 4094]),
  learning: flag("learning"),
  stp: flag("stp"),
  isolated: flag("isolated"),
  offload: flag("offload"),
  dev: text("dev"),
  master: text("master"),
  mac: value("mac", macTextOf),
  local: value("local", ipTextOf),
  group: placed("group", setRemote),
  remote: placed("remotes", setRemote),
  ttl: placed("ttl", setTtl),
  forwardDelay: placed("forwardDelay", setForwardDelay),
  protocol: placed("outer", setProtocol),
  address: setAddress,
} as const satisfies Readonly<Record<string, Setter>>;
export type Setter = (reading: Reading, draft: LinkDraft, word: Word) => void;
type Fields<T> = { [K in keyof LinkDraft as LinkDraft[K] extends T | undefined ? K : never]: LinkDraft[K] };

/** A setter that also tells where its field was said, and whether the value was refused. */
function placed(field: string, set: Setter): Setter {
  return (reading, draft, word) => {
    const before = reading.problems.length;
    set(reading, draft, word);
    draft.where.set(field, word.at);
    if (reading.problems.length > before) draft.wrong.add(field);
  };
}

function value<K extends keyof LinkDraft>(
  field: K,
  read: (reading: Reading, word: Word) => LinkDraft[K] | undefined,
): Setter {
  return placed(field, (reading, draft, word) => {
    const found = read(reading, word);
    if (found !== undefined) draft[field] = found as LinkDraft[K];
  });
}

function number(field: keyof Fields<number>, bounds: readonly [number, number]): Setter {
  return placed(field, (reading, draft, word) => {
    const found = numberOf(reading, word, bounds);
    if (found !== undefined) draft[field as "mtu"] = found;
  });
}

function flag(field: keyof Fields<boolean>): Setter {
  return placed(field, (reading, draft, word) => {
    const found = flagOf(reading, word);
    if (found !== undefined) draft[field as "stp"] = found;
  });
}

function text(field: "dev" | "master"): Setter {
  return placed(field, (_, draft, word) => {
    draft[field] = word.text;
  });
}

/** One address or several; a group is where broadcasts go, anything else gets a copy of each. */
function setRemote(reading: Reading, draft: LinkDraft, word: Word): void {
  const ip = ipTextOf(reading, word);
  if (ip === undefined) return;
  if (!isGroup(ip)) {
    if (word.of === "group") problem(reading, word.at, `group ${ip}`, "this is not a multicast address");
    else if (addOnce(reading, draft.remotes, ip, word)) draft.where.set(`remotes ${ip}`, word.at);
  } else if (draft.group !== undefined && draft.group !== ip) {
    problem(reading, word.at, `${word.of} ${ip}`, `the group is ${draft.group} already`);
  } else draft.group = ip;
}

/** Whether it is new. */
function addOnce(reading: Reading, list: string[], text: string, { at, of }: Word): boolean {
  if (list.length >= LIST_MAX) problem(reading, at, `${of} ${text}`, `there are more than ${LIST_MAX}`);
  else if (!list.includes(text)) return list.push(text) > 0;
  return false;
}

export function addRoute(draft: LinkDraft, route: PlanRoute | undefined, at: Position): void {
  if (route === undefined) return;
  draft.routes.push(route);
  draft.where.set(`routes ${route.to}`, at);
}

export function addNeighbour(draft: LinkDraft, neighbour: PlanNeighbour, at: Position): void {
  draft.neighbours.push(neighbour);
  draft.where.set(`neighbours ${neighbour.ip}`, at);
}

export function addEntry(draft: LinkDraft, entry: LinkDraft["fdb"][number], at: Position): void {
  draft.fdb.push(entry);
  draft.where.set("fdb", at);
}

function setTtl(reading: Reading, draft: LinkDraft, word: Word): void {
  if (word.text === "auto") return;
  // The kernel takes 0 for "auto"; of what is given, Weft's own files take the same.
  if (word.text === "0") return;
  const ttl = numberOf(reading, word, [1, 255]);
  if (ttl !== undefined) draft.ttl = ttl;
}

const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, sec: 1, ms: 0.001 };

function setForwardDelay(reading: Reading, draft: LinkDraft, word: Word): void {
  const [, digits, unit = ""] = /^(\d{1,6}(?:\.\d{1,3})?) ?(s|sec|ms)?$/.exec(word.text) ?? [];
  const seconds = digits === undefined ? Number.NaN : Number(digits) * (UNITS[unit] ?? Number.NaN);
  if (seconds >= 0 && seconds <= 255) draft.forwardDelay = seconds;
  else problem(reading, word.at, `${word.of} ${word.text}`, "it must be a number of seconds up to 255");
}

function setProtocol(reading: Reading, draft: LinkDraft, word: Word): void {
  const isKnown = /^802\.1(q|ad)$/i.test(word.text);
  if (isKnown) draft.outer = /ad$/i.test(word.text);
  else problem(reading, word.at, `${word.of} ${word.text}`, "it must be 802.1Q or 802.1ad");
}

function setAddress(reading: Reading, draft: LinkDraft, word: Word): void {
  const spread = spreadTextOf(reading, word);
  if (spread !== undefined && addOnce(reading, draft.addresses, spread, word))
    draft.where.set(`addresses ${spread}`, word.at);
}

function linkOf(reading: Reading, draft: LinkDraft): PlanLink | undefined {
  const { name, at, where, mtu, mac, master, addresses, routes, neighbours } = draft;
  const isolated = draft.isolated === true && master !== undefined ? (true as const) : undefined;
  const offload = offloadOf(reading, draft);
  const common = {
    name,
    at,
    where,
    addresses,
    routes,
    neighbours,
    ...defined({ mtu, mac, master, isolated, offload }),
  };
  switch (draft.kind ?? "nic") {
    case "nic":
      return { kind: "nic", ...common };
    case "bridge": {
      const { stp = false, forwardDelay = KERNEL_DEFAULTS.forwardDelay } = draft;
      return { kind: "bridge", ...common, stp, forwardDelay };
    }
    case "vxlan":
      return vxlanOf(reading, draft, common);
    case "gretap":
      return gretapOf(reading, draft, common);
    case "vlan": {
      const { id, dev: parent, outer = false } = draft;
      if (id === undefined && draft.wrong.has("id")) return undefined;
      if (id === undefined) return problem(reading, at, name, "this VLAN has no id from 1 to 4094");
      if (parent === undefined) return problem(reading, at, name, "this VLAN has no device that it is on");
      return { kind: "vlan", ...common, parent, id, outer };
    }
  }
}

/** The kernel's default is on. */
function offloadOf(reading: Reading, draft: LinkDraft): false | undefined {
  const { name, kind, offload } = draft;
  if (offload !== false) return undefined;
  if (kind === "vxlan" || kind === "gretap") return false;
  return note(reading, saidAt(draft, "offload"), `${name}: tx checksums off`, OFFLOAD_OF_HOST);
}

type Common = Omit<Extract<PlanLink, { kind: "nic" }>, "kind">;

function vxlanOf(reading: Reading, draft: LinkDraft, common: Common): PlanLink | undefined {
  const { name, at, vni, group, remotes, fdb, local, dev, ttl } = draft;
  const { port = KERNEL_DEFAULTS.port, learning = true } = draft;
  if (vni === undefined && (draft.wrong.has("vni") || draft.wrong.has("id"))) return undefined;
  if (vni === undefined) return problem(reading, at, name, "this VXLAN device has no VNI");
  if (group !== undefined && dev === undefined)
    return problem(
      reading,
      saidAt(draft, "group"),
      `${name} group ${group}`,
      "a group needs the device that its packets leave by (dev)",
    );
  if (group !== undefined && remotes.length > 0)
    return problem(reading, at, name, "it has a group and remote hosts; it can have one of them");
  const families = new Set([group ?? [], remotes, fdb.map(({ dst }) => dst), local ?? []].flat().map(familyOf));
  if (families.size > 1) return problem(reading, at, name, "its addresses are of IPv4 and of IPv6");
  return { kind: "vxlan", ...common, vni, port, learning, remotes, fdb, ...defined({ group, local, dev, ttl }) };
}

function gretapOf(reading: Reading, draft: LinkDraft, common: Common): PlanLink | undefined {
  const { name, at, local, remotes, key, ttl, dev } = draft;
  const [remote, ...more] = remotes;
  if (local === undefined || remote === undefined)
    return note(reading, at, name, "a GRE device without a local and a remote address is not read");
  if (more.length > 0) return problem(reading, at, name, "a GRE device has one remote host");
  if (familyOf(local) !== familyOf(remote)) return problem(reading, at, name, "its addresses are of IPv4 and of IPv6");
  return { kind: "gretap", ...common, local, remote, ...defined({ key, ttl, dev }) };
}
