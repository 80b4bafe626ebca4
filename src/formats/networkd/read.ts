// Reads .netdev and .network files of systemd-networkd into drafts. As for networkd, the first .network file by name
// that matches a link is the one that counts.
import { posix } from "node:path";
import { FLOOD_MAC } from "../../datapath/kinds/entries.ts";
import {
  type Drafts,
  type LinkDraft,
  SETTERS,
  type Setter,
  addEntry,
  addNeighbour,
  addRoute,
  setKind,
} from "../draft.ts";
import { isMatch } from "../pattern.ts";
import type { PlanLink } from "../plan.ts";
import { type SourceFiles, ipTextOf, macTextOf, note, problem, rowOf } from "../reading.ts";
import { routeOf } from "../routes.ts";
import { type Entry, type Section, type Unit, unitOf, valuesOf } from "./units.ts";

/** Reads files and folders of drop-ins. */
export function readNetworkd(drafts: Drafts, files: SourceFiles, paths: readonly string[]): void {
  const { reading } = drafts;
  const byName = [...paths].sort((a, b) => (posix.basename(a) < posix.basename(b) ? -1 : 1));
  const units = byName.map((path) => unitOf(files, path, reading));
  const of = (kind: string) => units.filter(({ path }) => path.replace(/\.d$/, "").endsWith(`.${kind}`));
  for (const unit of of("netdev")) readNetdev(drafts, unit);
  for (const [kind, key, sections] of MATCHING) {
    const matched = new Map<string, string>();
    for (const unit of of(kind)) readMatching({ drafts, matched, key, sections }, unit);
  }
}

const KINDS: Readonly<Record<string, PlanLink["kind"]>> = {
  bridge: "bridge",
  vxlan: "vxlan",
  gretap: "gretap",
  ip6gretap: "gretap",
  vlan: "vlan",
};

function readNetdev(drafts: Drafts, unit: Unit): void {
  const { reading } = drafts;
  const [name] = valuesOf(unit, "NetDev", "Name");
  const [kind] = valuesOf(unit, "NetDev", "Kind");
  if (name === undefined || kind === undefined)
    return problem(reading, unit.at, posix.basename(unit.path), "it has no Name or no Kind in [NetDev]");
  const known = rowOf(KINDS, kind.value);
  if (known === undefined)
    return note(reading, kind.at, `${name.value}: Kind=${kind.value}`, "links of this kind are not read");
  const draft = drafts.link(name.value, name.at);
  if (draft === undefined) return;
  setKind(reading, draft, known, kind.at);
  readSections(drafts, draft, unit, NETDEV);
}

type Matching = {
  readonly drafts: Drafts;
  /** The first file for a link, by its name. */
  readonly matched: Map<string, string>;
  readonly key: string;
  readonly sections: Sections;
};

function readMatching({ drafts, matched, key, sections }: Matching, unit: Unit): void {
  const { reading } = drafts;
  const names = valuesOf(unit, "Match", key).flatMap(({ value, at }) =>
    value.split(/\s+/).map((name) => ({ name, at })),
  );
  if (names.length === 0)
    return note(reading, unit.at, posix.basename(unit.path), `only files that match links by ${key} are read`);
  const fitting = new Map(
    names.flatMap(({ name, at }) =>
      /[*?[!]/.test(name)
        ? drafts.names().flatMap((each) => (isMatch(name, each) ? [[each, at] as const] : []))
        : [[name, at] as const],
    ),
  );
  if (fitting.size === 0) note(reading, unit.at, posix.basename(unit.path), "no link that is read matches it");
  for (const [name, at] of fitting) {
    const first = matched.get(name);
    if (first !== undefined) {
      note(reading, at, name, `${posix.basename(first)} matches it before this file`);
      continue;
    }
    matched.set(name, unit.path);
    const draft = drafts.link(name, at);
    if (draft !== undefined) readSections(drafts, draft, unit, sections);
  }
}

type Context = { readonly drafts: Drafts; readonly draft: LinkDraft };
type Reader = (context: Context, entry: Entry) => void;
/** Readers of keys by section; of sections that are one thing each, a reader of the whole. */
type Sections = Readonly<
  Record<string, Readonly<Record<string, Reader>> | ((context: Context, section: Section) => void)>
>;

function readSections(drafts: Drafts, draft: LinkDraft, unit: Unit, known: Sections): void {
  for (const section of unit.sections) {
    const readers = rowOf(known, section.name);
    if (typeof readers === "function") readers({ drafts, draft }, section);
    else
      for (const entry of section.entries) {
        const read = readers && rowOf(readers, entry.key);
        if (read !== undefined && entry.value !== "") read({ drafts, draft }, entry);
        else if (read === undefined) unread(drafts, section, entry);
      }
  }
}

function unread({ reading }: Drafts, { name }: Section, { key, value, at }: Entry): void {
  note(reading, at, `[${name}] ${key}=${value}`, "this key is not read");
}

const nothing: Reader = () => undefined;
const by =
  (setter: Setter): Reader =>
  ({ drafts, draft }, { key, value, at }) =>
    setter(drafts.reading, draft, { text: value, at, of: key });

/** The names in a value, each with its draft. */
function linksIn({ drafts }: Context, { value, at }: Entry): readonly LinkDraft[] {
  return value.split(/\s+/).flatMap((name) => drafts.link(name, at) ?? []);
}

/** The key of a parent that names what stands on it. */
const carries: Reader = (context, entry) => {
  for (const child of linksIn(context, entry)) child.dev = context.draft.name;
};

/** Where its own value is what the kernel or Weft does anyway. */
function only(values: RegExp): Reader {
  return ({ drafts }, entry) => {
    if (!values.test(entry.value)) note(drafts.reading, entry.at, `${entry.key}=${entry.value}`, "this is not read");
  };
}

const TUNNEL: Readonly<Record<string, Reader>> = {
  Local: by(SETTERS.local),
  Remote: by(SETTERS.remote),
  TTL: by(SETTERS.ttl),
  Key: by(SETTERS.key),
  InputKey: by(SETTERS.key),
  OutputKey: readOutputKey,
  EncapsulationLimit: only(/^none$/),
  Independent: nothing,
};

const NETDEV: Sections = {
  NetDev: {
    Name: nothing,
    Kind: nothing,
    MTUBytes: by(SETTERS.mtu),
    MACAddress: by(SETTERS.mac),
  },
  Bridge: { STP: by(SETTERS.stp), ForwardDelaySec: by(SETTERS.forwardDelay) },
  VXLAN: {
    VNI: by(SETTERS.vni),
    // Its name before systemd 243.
    Id: by(SETTERS.vni),
    Group: by((reading, draft, word) => SETTERS.group(reading, draft, { ...word, of: "group" })),
    Remote: by(SETTERS.remote),
    Local: by(SETTERS.local),
    TTL: by(SETTERS.ttl),
    DestinationPort: by(SETTERS.port),
    MacLearning: by(SETTERS.learning),
    UDPChecksum: only(/^(yes|true|on|1)$/i),
    Independent: nothing,
  },
  Tunnel: TUNNEL,
  VLAN: { Id: by(SETTERS.id), Protocol: by(SETTERS.protocol) },
};

const NETWORK: Sections = {
  Match: { Name: nothing },
  Link: { MTUBytes: by(SETTERS.mtu), MACAddress: by(SETTERS.mac) },
  Network: {
    Bridge: by(SETTERS.master),
    VXLAN: carries,
    VLAN: carries,
    Tunnel: carries,
    Address: by(SETTERS.address),
    Gateway: readGateway,
    DHCP: only(/^(no|false|off|0)$/i),
    // How a link is brought up says nothing about the network.
    LinkLocalAddressing: nothing,
    IPv6AcceptRA: nothing,
    ConfigureWithoutCarrier: nothing,
    LLDP: nothing,
    EmitLLDP: nothing,
  },
  Bridge: { Isolated: by(SETTERS.isolated) },
  Address: readAddress,
  Route: readRoute,
  Neighbor: readNeighbour,
  BridgeFDB: readFdb,
};

/** What udev sets of a link. */
const LINK: Sections = {
  Match: { OriginalName: nothing },
  Link: { TransmitChecksumOffload: by(SETTERS.offload) },
};

/** Files that say which links they are for, by which key. */
const MATCHING = [
  ["network", "Name", NETWORK],
  ["link", "OriginalName", LINK],
] as const;

/** Weft's key is one for both directions. */
function readOutputKey({ drafts, draft }: Context, { key, value, at }: Entry): void {
  const input = draft.key;
  SETTERS.key(drafts.reading, draft, { text: value, at, of: key });
  if (input !== undefined && draft.key !== input)
    problem(drafts.reading, at, `${key}=${value}`, "the key must be the same in both directions");
}

function readGateway({ drafts, draft }: Context, { value, at }: Entry): void {
  const route = routeOf(drafts.reading, at, { to: "default", via: value });
  addRoute(draft, route, at);
}

/** The last value of each key; a key that is not among `known` is noted, and then the section is not read. */
function valuesIn(
  { drafts }: Context,
  section: Section,
  known: readonly string[],
): ReadonlyMap<string, Entry> | undefined {
  const strange = section.entries.find(({ key }) => !known.includes(key));
  if (strange !== undefined) {
    const text = section.entries.map(({ key, value }) => `${key}=${value}`).join(" ");
    return note(drafts.reading, strange.at, `[${section.name}] ${text}`, `with ${strange.key} it is not read`);
  }
  return new Map(section.entries.map((entry) => [entry.key, entry]));
}

function readAddress(context: Context, section: Section): void {
  const entry = valuesIn(context, section, ["Address", "DuplicateAddressDetection"])?.get("Address");
  if (entry !== undefined) by(SETTERS.address)(context, entry);
}

function readRoute(context: Context, section: Section): void {
  const keys = ["Destination", "Gateway", "GatewayOnLink", "PreferredSource", "Metric"];
  const said = valuesIn(context, section, keys);
  if (said === undefined) return;
  const text = (key: string) => said.get(key)?.value;
  const route = routeOf(context.drafts.reading, section.at, {
    to: text("Destination") ?? "default",
    via: text("Gateway"),
    source: text("PreferredSource"),
    metric: text("Metric"),
    onlink: /^(yes|true|on|1)$/i.test(text("GatewayOnLink") ?? ""),
  });
  addRoute(context.draft, route, section.at);
}

function readNeighbour(context: Context, section: Section): void {
  const { reading } = context.drafts;
  const said = valuesIn(context, section, ["Address", "LinkLayerAddress"]);
  if (said === undefined) return;
  const text = (key: string) => ({ text: said.get(key)?.value ?? "", at: section.at, of: key });
  const ip = ipTextOf(reading, text("Address"));
  const mac = macTextOf(reading, text("LinkLayerAddress"));
  if (ip !== undefined && mac !== undefined) addNeighbour(context.draft, { ip, mac }, section.at);
}

function readFdb(context: Context, section: Section): void {
  const { reading } = context.drafts;
  const said = valuesIn(context, section, ["MACAddress", "Destination", "AssociatedWith"]);
  if (said === undefined) return;
  const text = (key: string) => ({ text: said.get(key)?.value ?? "", at: section.at, of: key });
  const mac = macTextOf(reading, text("MACAddress"));
  const dst = ipTextOf(reading, text("Destination"));
  if (mac === undefined || dst === undefined) return;
  if (mac === FLOOD_MAC) SETTERS.remote(reading, context.draft, { ...text("Destination"), text: dst });
  else addEntry(context.draft, { mac, dst }, section.at);
}
