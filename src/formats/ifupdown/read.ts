// Reads stanzas of ifupdown and ifupdown2 into drafts: one reader for both, because their words do not clash and hosts
// have files of either. `_` and `-` in names of options are the same.
import { TUNNEL_PORT } from "../../model/limits.ts";
import { interfaceOf, ipOf } from "../../model/address.ts";
import { isTeardown, readCommand } from "../command.ts";
import { type Drafts, type LinkDraft, OFFLOAD_OF_HOST, SETTERS, type Setter, addRoute, setKind } from "../draft.ts";
import type { PlanLink } from "../plan.ts";
import { type SourceFiles, type Word, note, problem, rowOf } from "../reading.ts";
import { routeOf } from "../routes.ts";
import { type Option, type Stanza, stanzasOf } from "./stanzas.ts";

/** Reads a file of stanzas and what it includes. */
export function readIfupdown(drafts: Drafts, files: SourceFiles, path: string): void {
  for (const stanza of stanzasOf(files, path, drafts.reading)) readStanza(drafts, stanza);
  for (const name of drafts.names()) inferVlan(drafts, name);
}

/** One option, with the stanza and the link that it is of. */
type Said = { readonly drafts: Drafts; readonly stanza: Stanza; readonly draft: LinkDraft; readonly option: Option };

function readStanza(drafts: Drafts, stanza: Stanza): void {
  const { name, at, family, method, options } = stanza;
  // `eth0:1` is a label of an address, and its device is eth0.
  const draft = drafts.link(name.replace(/:.*$/, ""), at);
  if (draft === undefined) return;
  if (!/^(|manual|static|loopback)$/.test(method))
    note(drafts.reading, at, `iface ${name} ${family} ${method}`, `addresses by ${method} are not read`);
  for (const option of options) readOption({ drafts, stanza, draft, option });
}

function readOption(said: Said): void {
  const { drafts, draft, option } = said;
  const key = option.key.replaceAll("_", "-");
  const setter = rowOf(SIMPLE, key);
  const read = rowOf(READERS, key);
  if (setter !== undefined) {
    if (setter.kind !== undefined) setKind(drafts.reading, draft, setter.kind, option.at);
    for (const word of wordsOf(option)) setter.set(drafts.reading, draft, word);
  } else if (read !== undefined) read(said);
  else
    note(drafts.reading, option.at, `${option.key} ${option.value}`, rowOf(NOT_READ, key) ?? "this option is not read");
}

function wordsOf({ key, value, at }: Option): readonly Word[] {
  return value.split(/\s+/).map((text) => ({ text, at, of: key }));
}

type Simple = { readonly set: Setter; readonly kind?: PlanLink["kind"] };
const of = (kind: PlanLink["kind"], set: Setter): Simple => ({ kind, set });

/** Options whose words are values of one field. */
const SIMPLE: Readonly<Record<string, Simple>> = {
  mtu: { set: SETTERS.mtu },
  "bridge-stp": of("bridge", SETTERS.stp),
  "bridge-fd": of("bridge", SETTERS.forwardDelay),
  "bridge-hw": of("bridge", SETTERS.mac),
  "vxlan-id": of("vxlan", (reading, draft, word) => {
    // Unlike the kernel, ifupdown2 takes the port of RFC 7348.
    draft.port ??= TUNNEL_PORT;
    SETTERS.vni(reading, draft, word);
  }),
  "vxlan-local-tunnelip": of("vxlan", SETTERS.local),
  "vxlan-remoteip": of("vxlan", SETTERS.remote),
  "vxlan-svcnodeip": of("vxlan", SETTERS.remote),
  "vxlan-svcnodeip6": of("vxlan", SETTERS.remote),
  "vxlan-mcastgrp": of("vxlan", (reading, draft, word) => SETTERS.group(reading, draft, { ...word, of: "group" })),
  "vxlan-mcastgrp6": of("vxlan", (reading, draft, word) => SETTERS.group(reading, draft, { ...word, of: "group" })),
  "vxlan-physdev": of("vxlan", SETTERS.dev),
  "vxlan-learning": of("vxlan", SETTERS.learning),
  "vxlan-port": of("vxlan", SETTERS.port),
  "vxlan-ttl": of("vxlan", SETTERS.ttl),
  "vlan-raw-device": of("vlan", SETTERS.dev),
  "vlan-id": of("vlan", SETTERS.id),
  "vlan-protocol": of("vlan", SETTERS.protocol),
  "tunnel-local": of("gretap", SETTERS.local),
  "tunnel-endpoint": of("gretap", SETTERS.remote),
  "tunnel-ttl": of("gretap", SETTERS.ttl),
  "tunnel-physdev": of("gretap", SETTERS.dev),
};

const READERS: Readonly<Record<string, (said: Said) => void>> = {
  address: readAddress,
  // It is read with the address.
  netmask: () => undefined,
  gateway: readGateway,
  hwaddress: ({ drafts, draft, option }) => {
    const [word] = wordsOf({ ...option, value: option.value.replace(/^ether\s+/, "") });
    if (word !== undefined) SETTERS.mac(drafts.reading, draft, word);
  },
  "bridge-ports": readPorts,
  "tunnel-mode": ({ drafts, draft, option: { value, at } }) => {
    if (/^(ip6)?gretap$/.test(value)) setKind(drafts.reading, draft, "gretap", at);
    else note(drafts.reading, at, `tunnel-mode ${value}`, "only gretap and ip6gretap are read");
  },
  "pre-up": readUp,
  up: readUp,
  "post-up": readUp,
  down: readDown,
  "pre-down": readDown,
  "post-down": readDown,
  // How long the tools wait says nothing about the network.
  "bridge-waitport": () => undefined,
  "bridge-maxwait": () => undefined,
};

/** Options of which a person should know more than that they are not read. */
const NOT_READ: Readonly<Record<string, string>> = Object.fromEntries(
  ["sg", "tx", "rx", "tso", "gso", "gro", "lro", "ufo"].map((what) => [`offload-${what}`, OFFLOAD_OF_HOST]),
);

function readUp({ drafts, stanza, option: { value, at } }: Said): void {
  readCommand(drafts, at, value, stanza.name);
}

function readDown({ drafts, stanza, option: { key, value, at } }: Said): void {
  if (!isTeardown(value, stanza.name)) note(drafts.reading, at, `${key} ${value}`, "this command is not read");
}

function readAddress({ drafts, stanza, draft, option }: Said): void {
  const { reading } = drafts;
  const [word] = wordsOf(option);
  if (word === undefined) return;
  if (word.text.includes("/") || ipOf(word.text) === undefined) return SETTERS.address(reading, draft, word);
  const netmask = stanza.options.find(({ key }) => key === "netmask");
  if (netmask === undefined)
    return note(reading, option.at, `address ${word.text}`, "it has no prefix length, so it is not read");
  const length = lengthOf(netmask.value);
  if (length === undefined) problem(reading, netmask.at, `netmask ${netmask.value}`, "this is not a netmask");
  else SETTERS.address(reading, draft, { ...word, text: `${word.text}/${length}` });
}

/** Of `255.255.252.0` or `22`. */
function lengthOf(netmask: string): number | undefined {
  if (/^\d{1,3}$/.test(netmask)) return Number(netmask);
  const mask = interfaceOf(`${netmask}/32`)?.ip;
  if (mask?.family !== 4) return undefined;
  const bits = mask.value.toString(2).padStart(32, "0");
  return /^1*0*$/.test(bits) ? (bits.indexOf("0") === -1 ? 32 : bits.indexOf("0")) : undefined;
}

function readGateway({ drafts, draft, option: { value, at } }: Said): void {
  const route = routeOf(drafts.reading, at, { to: "default", via: value });
  addRoute(draft, route, at);
}

function readPorts({ drafts, draft, option: { key, value, at } }: Said): void {
  const { reading } = drafts;
  setKind(reading, draft, "bridge", at);
  const names = value.split(/\s+/);
  if (names.some((name) => /^(regex|all|glob)$/.test(name) || /[*?[\]]/.test(name)))
    return note(reading, at, `${key} ${value}`, "only ports that are named are read");
  for (const name of names) {
    const port = name === "none" || name === "" ? undefined : drafts.link(name, at);
    if (port !== undefined) SETTERS.master(reading, port, { text: draft.name, at, of: key });
  }
}

/** `eth1.100`, and `vlan100` with a raw device: the id is in the name. */
function inferVlan(drafts: Drafts, name: string): void {
  const draft = drafts.known(name);
  const [, parent, dotted] = /^(.+)\.(\d{1,4})$/.exec(name) ?? [];
  const digits = dotted ?? /^vlan(\d{1,4})$/.exec(name)?.[1];
  if (draft === undefined || digits === undefined) return;
  if (draft.kind === undefined && parent !== undefined) draft.kind = "vlan";
  if (draft.kind !== "vlan") return;
  if (parent !== undefined) draft.dev ??= parent;
  if (draft.id === undefined)
    SETTERS.id(drafts.reading, draft, { text: digits.replace(/^0+(?=.)/, ""), at: draft.at, of: "the id in its name" });
}
