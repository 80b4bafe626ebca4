// Security groups: which rules are valid, and which groups cannot be deleted. Rules are checked here, field by field,
// so that no rule is stored that is meaningless or that the kernel cannot apply.
import { isDeepStrictEqual } from "node:util";
import {
  type Cidr,
  BITS,
  cidrAround,
  formatCidr,
  formatIp,
  parseCidr,
  parseIp,
  parseMac,
} from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import { DEFAULT_GROUP, type Peer, PROTOCOL_NAMES, type Rule, protocolNumber } from "../../../model/group.ts";
import { unknownFault } from "../../../model/kinds.ts";
import type { EndpointPatch, SecurityGroupInput } from "../../../model/input.ts";
import { checkName } from "../../../model/parse.ts";
import { portsOf } from "../../../model/ports.ts";
import type { Key, SecurityGroup } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get, getKey } from "../../state/view.ts";
import { builtIn } from "../../state/builtIn.ts";
import type { Delete, Put } from "../../write.ts";
import { existing, refuseWhile, within } from "../context.ts";

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;

export function putGroup(draft: Draft, { name, spec: input }: Put<SecurityGroupInput>): SecurityGroup {
  checkName("securitygroup", name, "name");
  const { view, coming } = draft;
  const old = get(view, "securitygroup", name);
  checkCommits(name, input, old);
  const isThere = (key: Key) =>
    coming.keys.has(key) || key === `securitygroup/${name}` || getKey(view, key) !== undefined;
  const rules = input.rules.map((rule, i) => within(`spec.rules[${i}]`, () => checkedRule(isThere, rule)));
  const { commits: _, ...rest } = input;
  const commits = old?.spec.commits;
  const spec = { ...rest, rules, ...(commits === undefined ? {} : { commits }) };
  // The built-in group need not be written; a list of groups has it, and can be applied.
  const own = old === undefined ? builtIn("securitygroup", name) : undefined;
  if (own !== undefined && isDeepStrictEqual(spec, own.spec)) return own;
  return draft.put("securitygroup", name, spec);
}

/** A writer that puts what it has read puts the server's count, too; other counts are refused. */
function checkCommits(name: string, { commits }: SecurityGroupInput, old: SecurityGroup | undefined): void {
  if (commits === undefined || old === undefined || isDeepStrictEqual(commits, old.spec.commits)) return;
  throw new Fault("immutable", {
    what: `group "${name}" has other commits`,
    where: "spec.commits",
    why: "the server counts them",
    fix: "leave it out; to make hosts load the group again: weft sg commit",
  });
}

/** Counts one more commit: the text that hosts load differs by it. */
export function commitGroup(draft: Draft, name: string, hosts: readonly string[] | undefined): SecurityGroup {
  const group = existing(draft.view, "securitygroup", name);
  for (const host of hosts ?? []) existing(draft.view, "host", host, "hosts");
  const commits: Record<string, number> = { ...group.spec.commits };
  for (const host of hosts ?? ["*"]) commits[host] = (commits[host] ?? 0) + 1;
  return draft.put("securitygroup", name, { ...group.spec, commits });
}

/** Refused while anything names it: no endpoint's policy may change because a group is gone. */
export function deleteGroup(draft: Draft, { name }: Delete): void {
  if (name === DEFAULT_GROUP) {
    throw new Fault("forbidden", {
      what: `the group "${DEFAULT_GROUP}" cannot be deleted`,
      why: "it is always there",
      fix: "remove it from networks and endpoints, or change its rules",
    });
  }
  refuseWhile(usersOf(draft.view, name), {
    what: `security group "${name}" is in use`,
    why: "these use the group",
    fix: "remove it from them first",
  });
  draft.remove("securitygroup", name);
}

/** Everything that names a group: networks, endpoints, and rules of other groups. */
function usersOf(view: View, name: string): string[] {
  const users: string[] = [];
  for (const network of view.network.values())
    if ([network.spec, ...(network.spec.ranges ?? [])].some((of) => of.securityGroups?.includes(name) === true))
      users.push(`network/${network.name}`);
  for (const endpoint of view.endpoint.values())
    if (endpoint.spec.securityGroups?.includes(name) === true) users.push(`endpoint/${endpoint.name}`);
  for (const group of view.securitygroup.values())
    if (group.name !== name && group.spec.rules.some(({ peer }) => peer?.group === name))
      users.push(`securitygroup/${group.name}`);
  return users;
}

/** Groups with a rule whose peer is this network. */
export function groupsWithPeer(view: View, network: string): string[] {
  return [...view.securitygroup.values()]
    .filter(({ spec }) => spec.rules.some(({ peer }) => peer?.network === network))
    .map(({ name }) => `securitygroup/${name}`);
}

/** Names of groups that exist, each once; `default` always does. */
export function checkGroups(view: View, names: readonly string[], where: string): readonly string[] {
  for (const [i, name] of names.entries())
    if (name !== DEFAULT_GROUP) existing(view, "securitygroup", name, `${where}[${i}]`);
  return [...new Set(names)].sort();
}

/** Further addresses of an endpoint, canonical; the networks it is in do not have to contain them. */
function checkAllowed({ address, mac }: Allowed, i: number): Allowed {
  const where = `allowedAddresses[${i}]`;
  return {
    address: formatIp(parseIp(address, `${where}.address`)),
    ...(mac === undefined ? {} : { mac: parseMac(mac, `${where}.mac`) }),
  };
}

type PolicyFields = Pick<EndpointPatch, "securityGroups" | "allowedAddresses">;
type Allowed = NonNullable<PolicyFields["allowedAddresses"]>[number];

/** The fields of a claim or patch that are policy, checked; what is not given is left out. */
export function policyFields(view: View, { securityGroups, allowedAddresses }: PolicyFields): PolicyFields {
  return {
    ...(securityGroups && { securityGroups: checkGroups(view, securityGroups, "securityGroups") }),
    ...(allowedAddresses && { allowedAddresses: allowedAddresses.map(checkAllowed) }),
  };
}

type IsThere = (key: Key) => boolean;

/** The rule in canonical form: what is stored is what a list prints, and a list can be applied again. */
function checkedRule(isThere: IsThere, given: Rule): Rule {
  const rule = { ...given, protocol: nameOf(given.protocol) };
  const protocol = protocolNumber(rule.protocol);
  if (Number.isNaN(protocol))
    throw wrong("protocol", `"${rule.protocol}" is no protocol`, `choose ${PROTOCOL_NAMES.join(", ")} or a number`);
  if (rule.ports !== undefined && protocol !== TCP && protocol !== UDP)
    throw wrong("ports", `protocol ${rule.protocol} has no ports`, "leave them out, or choose tcp or udp");
  if (rule.icmpType !== undefined && protocol !== ICMP && protocol !== ICMPV6)
    throw wrong("icmpType", `protocol ${rule.protocol} has no ICMP type`, "leave it out, or choose icmp or icmpv6");
  const ports = rule.ports && checkedPorts(rule.ports);
  const peer = rule.peer && checkedPeer(isThere, rule.peer, protocol);
  return { ...rule, ...defined({ ports, peer }) };
}

function nameOf(protocol: Rule["protocol"]): Rule["protocol"] {
  return typeof protocol === "number" ? protocol : protocol.toLowerCase();
}

/** Each port and range once. */
function checkedPorts(given: NonNullable<Rule["ports"]>): (number | string)[] {
  const ports = given.flatMap((port, i) => {
    const read = portsOf(String(port));
    if ("why" in read) throw wrong(`ports[${i}]`, read.why, "write it like 22, or 80-90; ports end at 65535");
    return read;
  });
  return [...new Set(ports)];
}

function checkedPeer(isThere: IsThere, peer: Peer, protocol: number | undefined): Peer {
  const { cidr, first, size, network, group } = peer;
  const forms = [cidr, first ?? size, network, group].filter((form) => form !== undefined);
  if (forms.length !== 1)
    throw wrong(
      "peer",
      "a peer is one of: cidr, first and size, network, group",
      "give exactly one, or leave peer out",
    );
  if (network !== undefined) {
    if (isThere(`network/${network}`)) return peer;
    throw unknownFault("network", network, "peer.network");
  }
  if (group !== undefined) {
    if (group === DEFAULT_GROUP || isThere(`securitygroup/${group}`)) return peer;
    throw unknownFault("securitygroup", group, "peer.group");
  }
  if (cidr !== undefined) {
    const text = formatCidr(cidr.includes("/") ? parseCidr(cidr, "peer.cidr") : hostCidr(cidr));
    checkFamily(text, protocol, "peer.cidr");
    return { cidr: text };
  }
  if (first === undefined) throw wrong("peer.first", "size without a first address", "give both");
  if (size === undefined) throw wrong("peer.size", "a first address without size", "give both");
  const ip = parseIp(first, "peer.first");
  if (ip.value + BigInt(size) > 1n << BigInt(BITS[ip.family]))
    throw wrong("peer.size", `${size} addresses from ${formatIp(ip)} on run over the end`, "make it smaller");
  checkFamily(formatIp(ip), protocol, "peer.first");
  return { first: formatIp(ip), size };
}

/** A single address as a prefix. */
function hostCidr(text: string): Cidr {
  const ip = parseIp(text, "peer.cidr");
  return cidrAround(ip, BITS[ip.family]);
}

function checkFamily(peer: string, protocol: number | undefined, where: string): void {
  const wanted = protocol === ICMP ? 4 : protocol === ICMPV6 ? 6 : undefined;
  if (wanted === undefined || peer.includes(":") === (wanted === 6)) return;
  throw wrong(where, `${peer} is not IPv${wanted}`, `choose ${wanted === 4 ? "icmpv6" : "icmp"}, or another peer`);
}

function wrong(where: string, what: string, fix: string): Fault {
  return new Fault("request-invalid", { what: `${where}: ${what}`, where, fix });
}
