// A rule of a security group as one word on the command line, both ways: `in:tcp:22,80-90:from=10.0.0.0/8`.
import { cidrOf, ipOf, isMapped } from "../../model/address.ts";
import type { Fault } from "../../model/fault.ts";
import {
  DEFAULT_GROUP,
  PRIORITY_DEFAULT,
  PROTOCOL_NAMES,
  type Peer,
  type Rule,
  protocolNumber,
} from "../../model/group.ts";
import { portsOf } from "../../model/ports.ts";
import { misuse } from "../output/error.ts";

export const RULE_HELP = `
A rule is DIRECTION:PROTOCOL[:PORTS][:from=PEER|:to=PEER][:priority=N][:log]
  DIRECTION  in or inbound: connections to the endpoint; out or outbound: connections it opens
  PROTOCOL   all, tcp, udp, icmp, icmpv6, ipsec, or a number
  PORTS      22,80-90 or 22,80:90; with icmp and icmpv6 the type
  PEER       10.0.0.0/8, 10.0.0.5, 10.0.0.5+10 (ten addresses), network/NAME, group/NAME
  N          0 to 1000 (default: ${PRIORITY_DEFAULT}); the smallest is checked first, deny before allow
Upper and lower case are the same. Each part may be given once.`;

const DIRECTIONS = new Map<string, Rule["direction"]>([
  ["in", "in"],
  ["inbound", "in"],
  ["out", "out"],
  ["outbound", "out"],
]);
const PRIORITY_MAX = 1000;
const BYTE_MAX = 255;
const [TCP, UDP, ICMP, ICMPV6] = [6, 17, 1, 58];

/** The rule that a word means; a Fault `request-invalid` that names the part that cannot be meant. */
export function ruleOf(action: Rule["action"], text: string): Rule {
  const no = (why: string) =>
    misuse(`--${action}`, `"${text.slice(0, 200)}" is not a rule`, "see weft sg create --help", why);
  const [way = "", protocol = "", ...rest] = text.split(":");
  const direction = DIRECTIONS.get(way.toLowerCase());
  if (direction === undefined) throw no("a rule begins with in: or out:");
  const rule = { direction, action, protocol: protocolOf(protocol, no) };
  const more: Partial<Rule> = {};
  for (const part of partsOf(rest)) {
    const field = fieldOf(part, rule, no);
    const twice = Object.keys(field).find((name) => Object.hasOwn(more, name));
    if (twice !== undefined) throw no(`${NAMES[twice] ?? `"${part.split("=")[0]}" is`} given twice`);
    Object.assign(more, field);
  }
  return { ...rule, ...more };
}
const NAMES: Readonly<Record<string, string>> = { ports: "ports are", icmpType: "the ICMP type is" };

function protocolOf(text: string, no: (why: string) => Fault): Rule["protocol"] {
  if (text === "") throw no("it has no protocol");
  const number = numberOf(text, BYTE_MAX);
  if (number !== undefined) return number;
  const name = text.toLowerCase();
  if (PROTOCOL_NAMES.includes(name)) return name;
  throw no(`"${text}" is not a protocol: there are ${PROTOCOL_NAMES.join(", ")}, and numbers up to ${BYTE_MAX}`);
}

/** What begins with a known word; all else goes on with what is before it: peers and ranges have colons, too. */
function partsOf(pieces: readonly string[]): string[] {
  const out: string[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last === undefined || KNOWN.test(piece) || WHOLE.test(last)) out.push(piece);
    else out[out.length - 1] = `${last}:${piece}`;
  }
  return out;
}
const KNOWN = /^(?:log$|priority=|from=|to=)/i;
const WHOLE = /^(?:log$|priority=)/i;

function fieldOf(part: string, rule: Pick<Rule, "direction" | "protocol">, no: (why: string) => Fault): Partial<Rule> {
  if (part.toLowerCase() === "log") return { log: true };
  const [, key = "", value = ""] = /^(from|to|priority)=(.*)$/i.exec(part) ?? [];
  const name = key.toLowerCase();
  if (name === "priority") {
    const priority = numberOf(value, PRIORITY_MAX);
    if (priority === undefined) throw no(`"${value}" is not a priority: it is 0 to ${PRIORITY_MAX}`);
    return { priority };
  }
  const side = rule.direction === "in" ? "from" : "to";
  if (name === side) return { peer: peerOf(value, no) };
  if (name !== "") throw no(`an ${rule.direction}bound rule takes ${side}=, not ${name}=`);
  return serviceOf(part, protocolNumber(rule.protocol), no);
}

/** What is neither a peer nor a flag says which ports, or which type of ICMP. */
function serviceOf(part: string, protocol: number | undefined, no: (why: string) => Fault): Partial<Rule> {
  if (part === "") throw no("a part of it is empty");
  if (protocol === ICMP || protocol === ICMPV6) {
    const icmpType = numberOf(part, BYTE_MAX);
    if (icmpType === undefined) throw no(`"${part}" is not a type of ICMP: it is 0 to ${BYTE_MAX}`);
    return { icmpType };
  }
  const ports = portsOf(part);
  if ("why" in ports) throw no(/^[\d,:-]+$/.test(part) ? ports.why : `"${part}" is not a part of a rule`);
  if (protocol !== TCP && protocol !== UDP) throw no("only tcp and udp rules may have ports");
  const twice = ports.find((port, i) => ports.indexOf(port) !== i);
  if (twice !== undefined) throw no(`port ${twice} is given twice`);
  return { ports: [...ports] };
}

/** Without a sign or leading zeros, at most `most`. */
function numberOf(text: string, most: number): number | undefined {
  return /^(?:0|[1-9]\d{0,8})$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

function peerOf(text: string, no: (why: string) => Fault): Peer {
  const [, kind = "", name = ""] = /^(network|group)\/(.*)$/i.exec(text) ?? [];
  if (kind !== "" && name === "") throw no(`"${text}" names no ${kind}`);
  if (kind !== "") return kind.toLowerCase() === "network" ? { network: name } : { group: name };
  const [, first, size = ""] = /^([^+]*)\+(.*)$/.exec(text) ?? [];
  const address = first ?? text;
  if (first === undefined && cidrOf(text) !== undefined) return { cidr: text.toLowerCase() };
  const ip = ipOf(address);
  if (ip === undefined || isMapped(ip))
    throw no(`"${text}" is not a peer: give an address, a network, network/NAME or group/NAME`);
  if (first === undefined) return { cidr: text.toLowerCase() };
  if (!/^[1-9]\d{0,14}$/.test(size)) throw no(`"${size}" is not a number of addresses`);
  return { first: first.toLowerCase(), size: Number(size) };
}

/** `allow in:tcp:22,80-90:from=10.0.0.0/8`: for people; ruleOf() reads the word behind the action back. */
export function ruleText(rule: Rule): string {
  const { action, direction, protocol, ports, icmpType, peer, priority, log } = rule;
  const parts = [
    direction,
    String(protocol),
    ports?.join(",") ?? icmpType,
    peer === undefined ? undefined : `${direction === "in" ? "from" : "to"}=${peerText(peer)}`,
    priority === undefined ? undefined : `priority=${priority}`,
    log === true ? "log" : undefined,
  ];
  return `${action} ${parts.filter((part) => part !== undefined).join(":")}`;
}

function peerText({ cidr, first, size, network, group }: Peer): string {
  if (network !== undefined) return `network/${network}`;
  if (group !== undefined) return `group/${group}`;
  return cidr ?? `${first}+${size}`;
}

/** Said where groups are assigned: `default` allows everything, so what the others allow makes no difference. */
export function overriddenText(groups: readonly string[] | undefined): string {
  const others = (groups ?? []).filter((group) => group !== DEFAULT_GROUP);
  if (others.length === 0 || others.length === groups?.length) return "";
  const rest = `only what ${others.join(", ")} denies counts`;
  return `note: ${DEFAULT_GROUP} is also assigned and allows everything; ${rest}\n`;
}
