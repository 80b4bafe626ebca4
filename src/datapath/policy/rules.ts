// Rules of security groups in nft's words: one chain per direction for a set of groups. Within a priority and an action
// order does not matter, so all rules of one shape become one lookup in one set, and a chain's length does not grow
// with the number of its rules.
import { type Family, cidrOf, formatIp, ipOf, lastOf } from "../../model/address.ts";
import { PRIORITY_DEFAULT, type Rule, protocolNumber } from "../../model/group.ts";
import { type Box, type Interval, disjoint, union } from "./boxes.ts";
import { FAMILIES, IP, oneOf } from "./tableParts.ts";

/** A rule with its origin, and its peer as addresses; without addresses it matches any peer. */
export type PlacedRule = {
  readonly group: string;
  /** Its index in the group, from 0. */
  readonly index: number;
  readonly rule: Rule;
  readonly peers?: readonly PeerAddresses[];
  /** Members of this group are in the sets `members4_<id>` and `members6_<id>`. */
  readonly members?: string;
};
export type PeerAddresses = Interval & { readonly family: Family };

const ANY_PORT: Interval = { first: 0n, last: 65_535n };
const ANY_PROTOCOL: Interval = { first: 0n, last: 255n };
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;

/** What a rule matches besides the peer: a header field and its values. */
type Service = { readonly field: string; readonly values: readonly Interval[]; readonly family?: Family };

/** The statements of a chain, in order; a packet that none of them decides falls through. */
export function statementsOf(rules: readonly PlacedRule[]): string[] {
  const steps = Map.groupBy(rules, stepNumber);
  return [...steps.keys()].sort((a, b) => a - b).flatMap((number) => stepOf(steps.get(number) ?? []));
}

/** By priority; within one, deny comes first. */
export function stepNumber({ rule: { priority = PRIORITY_DEFAULT, action } }: PlacedRule): number {
  return 2 * priority + (action === "deny" ? 0 : 1);
}

function stepOf(rules: readonly PlacedRule[]): string[] {
  const quiet = rules.filter(({ rule }) => rule.log !== true);
  const loud = rules.filter(({ rule }) => rule.log === true).sort((a, b) => (labelOf(a) < labelOf(b) ? -1 : 1));
  const [first] = rules;
  const verdict = `goto ${first?.rule.action === "deny" ? "denied" : "began"}_${first?.rule.direction}`;
  const lines = matchesOf(quiet).map((match) => `${match}${verdict}`);
  for (const placed of loud)
    for (const match of matchesOf([placed]))
      lines.push(
        `${match}limit rate 10/second log prefix "weft ${placed.rule.action} ${labelOf(placed)} "`,
        `${match}${verdict}`,
      );
  return lines;
}

/** The rule's name in a log line. The kernel's prefix has room for 127 characters. */
function labelOf({ group, index }: PlacedRule): string {
  return `${group.slice(0, 60)}[${index}]`;
}

/** Matches that together are what the rules match, each with a space at its end; empty matches everything. */
function matchesOf(rules: readonly PlacedRule[]): string[] {
  const out: string[] = [];
  const anybody = rules.filter(({ peers, members }) => peers === undefined && members === undefined);
  for (const [field, values] of servicesOf(anybody)) out.push(field === "" ? "" : `${field} ${set(values)} `);
  if (out.includes("")) return [""];
  for (const family of FAMILIES) out.push(...peerMatches(rules, family));
  const byMembers = Map.groupBy(rules, ({ members = "" }) => members);
  byMembers.delete("");
  for (const members of [...byMembers.keys()].sort())
    for (const family of FAMILIES) out.push(...memberMatches(byMembers.get(members) ?? [], members, family));
  return out;
}

/** Header fields of these rules with all their values, in order; "" is every packet. */
function servicesOf(rules: readonly PlacedRule[]): [string, readonly Interval[]][] {
  const fields = Map.groupBy(
    rules.map(({ rule }) => serviceOf(rule)),
    ({ field }) => field,
  );
  return [...fields]
    .map(([field, some]): [string, readonly Interval[]] => [field, union(some.flatMap(({ values }) => values))])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function peerMatches(rules: readonly PlacedRule[], family: Family): string[] {
  const peer = peerField(rules, family);
  const boxes = new Map<string, Box[]>();
  for (const { rule, peers } of rules) {
    const service = serviceOf(rule);
    if (service.family !== undefined && service.family !== family) continue;
    const list = boxes.get(service.field) ?? [];
    boxes.set(service.field, list);
    for (const x of peers ?? []) {
      if (x.family === family) for (const y of service.values) list.push({ x, y });
    }
  }
  const ip = (x: Interval) => range(x, (value) => formatIp({ family, value }));
  return [...boxes]
    .filter(([, list]) => list.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, list]) => {
      if (field === "") return `${peer} ${oneOf(union(list.map(({ x }) => x)).map(ip))} `;
      return `${peer} . ${field} ${oneOf(disjoint(list).map(({ x, y }) => `${ip(x)} . ${range(y, String)}`))} `;
    });
}

function memberMatches(rules: readonly PlacedRule[], members: string, family: Family): string[] {
  const from = `${peerField(rules, family)} @members${family}_${members} `;
  const fits = rules.filter(({ rule }) => (serviceOf(rule).family ?? family) === family);
  return servicesOf(fits).map(([field, values]) => (field === "" ? from : `${from}${field} ${set(values)} `));
}

/** Where packets that these rules of one direction judge have their peer's address. */
function peerField([first]: readonly PlacedRule[], family: Family): string {
  return `${IP[family]} ${first?.rule.direction === "in" ? "saddr" : "daddr"}`;
}

function serviceOf(rule: Rule): Service {
  const protocol = protocolNumber(rule.protocol);
  if (protocol === undefined) return { field: "", values: [ANY_PROTOCOL] };
  if ((protocol === TCP || protocol === UDP) && rule.ports !== undefined)
    return { field: protocol === TCP ? "tcp dport" : "udp dport", values: portsOf(rule) };
  const family = protocol === ICMP ? 4 : protocol === ICMPV6 ? 6 : undefined;
  if (family !== undefined && rule.icmpType !== undefined)
    return { field: family === 4 ? "icmp type" : "icmpv6 type", values: [one(rule.icmpType)], family };
  return { field: "meta l4proto", values: [one(protocol)], ...(family === undefined ? {} : { family }) };
}

/** Ports of a rule as intervals, all if it names none; resources are checked when they are admitted. */
export function portsOf({ ports }: Rule): readonly Interval[] {
  if (ports === undefined) return [ANY_PORT];
  return ports.map((port) => {
    if (typeof port === "number") return one(port);
    const [first = "", last = first] = port.split("-");
    return { first: BigInt(first), last: BigInt(last) };
  });
}

/** The addresses of a rule's own peer; undefined if it has none, or names a network or group. */
export function addressesIn(peer: Rule["peer"]): PeerAddresses | undefined {
  if (peer?.cidr !== undefined) return intervalOf(peer.cidr);
  const first = peer?.first === undefined ? undefined : ipOf(peer.first);
  if (first === undefined || peer?.size === undefined) return undefined;
  return { family: first.family, first: first.value, last: first.value + BigInt(peer.size) - 1n };
}

/** A network, or one address; undefined if the text is neither. */
export function intervalOf(text: string): PeerAddresses | undefined {
  const ip = ipOf(text);
  if (ip !== undefined) return { family: ip.family, first: ip.value, last: ip.value };
  const cidr = cidrOf(text);
  return cidr === undefined ? undefined : { family: cidr.family, first: cidr.base, last: lastOf(cidr).value };
}

function one(value: number): Interval {
  return { first: BigInt(value), last: BigInt(value) };
}

function set(values: readonly Interval[]): string {
  return oneOf(values.map((value) => range(value, String)));
}

function range({ first, last }: Interval, text: (value: bigint) => string): string {
  return first === last ? text(first) : `${text(first)}-${text(last)}`;
}
