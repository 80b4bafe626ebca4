// Reads netplan's YAML into drafts. Several files make one configuration, as for netplan: what they say of one name is
// put together.
import { type Drafts, type LinkDraft, SETTERS, type Setter, addRoute, setKind } from "../draft.ts";
import type { PlanLink } from "../plan.ts";
import { type SourceFiles, note, problem, rowOf } from "../reading.ts";
import { routeOf } from "../routes.ts";
import { type Member, type Value, itemsOf, membersOf, textOf, treeOf, wordOf } from "./tree.ts";

export function readNetplan(drafts: Drafts, files: SourceFiles, path: string): void {
  const top = treeOf(files.text(path), path, drafts.reading);
  if (top === undefined) return;
  for (const member of membersOf(top)) {
    if (member.key !== "network") unread(drafts, member, "only `network` is read");
    else for (const section of membersOf(member)) readSection(drafts, section);
  }
}

function readSection(drafts: Drafts, section: Member): void {
  if (section.key === "version") return;
  if (section.key === "renderer") {
    const renderer = textOf(section);
    if (renderer !== "networkd") note(drafts.reading, section.at, `renderer: ${renderer}`, "it is read as networkd's");
    return;
  }
  const kind = rowOf(SECTIONS, section.key);
  if (kind === undefined) return unread(drafts, section, "links of this kind are not read");
  for (const member of membersOf(section)) {
    const draft = drafts.link(member.key, member.at);
    if (draft === undefined) continue;
    if (kind === "bridge" || kind === "vlan") setKind(drafts.reading, draft, kind, member.at);
    for (const said of membersOf(member)) readMember(drafts, draft, said);
  }
}

const SECTIONS: Readonly<Record<string, PlanLink["kind"] | "tunnel">> = {
  ethernets: "nic",
  bridges: "bridge",
  vlans: "vlan",
  tunnels: "tunnel",
};

function unread({ reading }: Drafts, member: Member, why: string): undefined {
  return note(reading, member.at, `${member.key}: ${textOf(member) ?? "…"}`, why);
}

function readMember(drafts: Drafts, draft: LinkDraft, member: Member): void {
  const { key } = member;
  const setter = rowOf(SIMPLE, key);
  const read = rowOf(READERS, key);
  if (setter !== undefined) set(drafts, draft, member, setter);
  else if (read !== undefined) read(drafts, draft, member);
  else unread(drafts, member, "this key is not read");
}

function set(drafts: Drafts, draft: LinkDraft, member: Member, setter: Setter): void {
  const word = wordOf(member, member.key);
  if (word !== undefined) setter(drafts.reading, draft, word);
  else draft.wrong.add(member.key);
}

const SIMPLE: Readonly<Record<string, Setter>> = {
  mtu: SETTERS.mtu,
  macaddress: SETTERS.mac,
  link: SETTERS.dev,
  local: SETTERS.local,
  remote: SETTERS.remote,
  port: SETTERS.port,
  ttl: SETTERS.ttl,
  "mac-learning": SETTERS.learning,
  key: SETTERS.key,
  id: (reading, draft, word) => (draft.kind === "vlan" ? SETTERS.id : SETTERS.vni)(reading, draft, word),
};

type Reader = (drafts: Drafts, draft: LinkDraft, member: Member) => void;
const nothing: Reader = () => undefined;

const READERS: Readonly<Record<string, Reader>> = {
  mode: readMode,
  interfaces: readInterfaces,
  parameters: readParameters,
  addresses: readAddresses,
  routes: readRoutes,
  gateway4: readGateway,
  gateway6: readGateway,
  keys: readKeys,
  checksums: readChecksums,
  dhcp4: readDhcp,
  dhcp6: readDhcp,
  // What the kernel does by itself, or the bridge makes meaningless for its port.
  "link-local": nothing,
  "accept-ra": nothing,
  optional: nothing,
};

function readMode(drafts: Drafts, draft: LinkDraft, member: Member): void {
  const mode = textOf(member);
  if (mode === "vxlan") setKind(drafts.reading, draft, "vxlan", member.at);
  else if (mode === "gretap" || mode === "ip6gretap") setKind(drafts.reading, draft, "gretap", member.at);
  else unread(drafts, member, "only vxlan, gretap and ip6gretap are read");
}

function readInterfaces(drafts: Drafts, draft: LinkDraft, member: Member): void {
  for (const item of itemsOf(member)) {
    const name = textOf(item);
    const port = name === undefined ? undefined : drafts.link(name, item.at);
    if (port !== undefined) port.master = draft.name;
  }
}

/** Of bridges. Where there are any parameters, netplan turns the spanning tree on unless they say otherwise. */
function readParameters(drafts: Drafts, draft: LinkDraft, member: Member): void {
  draft.stp ??= true;
  draft.where.set("stp", member.at);
  for (const parameter of membersOf(member)) {
    if (parameter.key === "stp") set(drafts, draft, parameter, SETTERS.stp);
    else if (parameter.key === "forward-delay") set(drafts, draft, parameter, SETTERS.forwardDelay);
    else unread(drafts, parameter, "this parameter is not read");
  }
}

function readAddresses(drafts: Drafts, draft: LinkDraft, member: Member): void {
  for (const item of itemsOf(member)) {
    const text = textOf(item);
    // `- 10.0.0.1/24: {label: …}`.
    const [labelled] = text === undefined ? membersOf(item) : [];
    if (labelled !== undefined) note(drafts.reading, labelled.at, labelled.key, "labels and lifetimes are not read");
    const address = text ?? labelled?.key;
    if (address !== undefined) SETTERS.address(drafts.reading, draft, { text: address, at: item.at, of: "address" });
  }
}

const ROUTE_KEYS = ["to", "via", "from", "metric", "on-link"];

function readRoutes(drafts: Drafts, draft: LinkDraft, member: Member): void {
  for (const item of itemsOf(member)) {
    const said = new Map(membersOf(item).map((each) => [each.key, each]));
    const text = (key: string) => said.get(key) && wordOf(said.get(key) ?? item, key)?.text;
    const strange = [...said.values()].find(({ key }) => !ROUTE_KEYS.includes(key));
    if (strange !== undefined) {
      unread(drafts, strange, "a route with this key is not read");
      continue;
    }
    const route = routeOf(drafts.reading, item.at, {
      to: text("to"),
      via: text("via"),
      source: text("from"),
      metric: text("metric"),
      onlink: text("on-link") === "true",
    });
    addRoute(draft, route, item.at);
  }
}

function readGateway({ reading }: Drafts, draft: LinkDraft, member: Member): void {
  const route = routeOf(reading, member.at, { to: "default", via: textOf(member) });
  addRoute(draft, route, member.at);
}

/** Two keys that are one. */
function readKeys(drafts: Drafts, draft: LinkDraft, member: Member): void {
  const values = new Set(membersOf(member).map((each: Value) => textOf(each)));
  const [text] = values;
  if (values.size === 1 && text !== undefined)
    SETTERS.key(drafts.reading, draft, { text, at: member.at, of: member.key });
  else problem(drafts.reading, member.at, "keys", "the key must be the same in both directions");
}

/** Of packets to other hosts; Weft has them. */
function readChecksums(drafts: Drafts, _: LinkDraft, member: Member): void {
  const kinds = itemsOf(member).map(textOf);
  const strange = kinds.find((kind) => kind !== "udp");
  if (kinds.length === 0 || strange !== undefined) unread(drafts, member, "only udp is read");
}

function readDhcp(drafts: Drafts, _: LinkDraft, member: Member): void {
  if (!/^(no|false|off)$/i.test(textOf(member) ?? "")) unread(drafts, member, "addresses by DHCP are not read");
}
