// A rule of a security group as one word on the command line, both ways: `in:tcp:22,80-90:from=10.0.0.0/8`.
import { Fault } from "../model/fault.ts";
import { DEFAULT_GROUP, PRIORITY_DEFAULT, type Peer, type Rule } from "../model/group.ts";

export const RULE_HELP = `
A rule is DIRECTION:PROTOCOL[:PORTS][:from=PEER|:to=PEER][:priority=N][:log]
  DIRECTION  in: what others begin; out: what the endpoint begins
  PROTOCOL   all, tcp, udp, icmp, icmpv6, ipsec, or a number
  PORTS      22,80-90; for icmp and icmpv6 a type
  PEER       10.0.0.0/8, 10.0.0.5, 10.0.0.5+10 (ten addresses), network/NAME, group/NAME
  N          0 to 1000, smaller is asked first; of equals deny wins; ${PRIORITY_DEFAULT} by default`;

/** The rule that a word means; a Fault `request-invalid` that names the part that cannot be meant. */
export function ruleOf(action: Rule["action"], text: string): Rule {
  const option = `--${action}`;
  const [direction, protocol = "", ...rest] = text.split(":");
  if (direction !== "in" && direction !== "out") throw wrong(option, text, "it begins with in: or out:");
  if (protocol === "") throw wrong(option, text, "it has no protocol");
  const parts = joinPeer(rest);
  const rule: { -readonly [K in keyof Rule]: Rule[K] } = {
    direction,
    action,
    protocol: /^\d+$/.test(protocol) ? Number(protocol) : protocol,
  };
  for (const part of parts) {
    const [, name = "", value = ""] = /^(from|to|priority)=(.+)$/.exec(part) ?? [];
    if (part === "log") rule.log = true;
    else if (name === "priority" && /^\d+$/.test(value)) rule.priority = Number(value);
    else if (name === (direction === "in" ? "from" : "to")) rule.peer = peerOf(value);
    else if (name !== "") throw wrong(option, text, `a rule for ${direction} has no "${part}"`);
    else if (protocol.startsWith("icmp") && /^\d+$/.test(part)) rule.icmpType = Number(part);
    else if (/^[\d,-]+$/.test(part))
      rule.ports = part.split(",").map((port) => (port.includes("-") ? port : Number(port)));
    else throw wrong(option, text, `"${part}" is no part of a rule`);
  }
  return rule;
}

/** An IPv6 peer has colons of its own: everything up to the next known word is the peer's. */
function joinPeer(parts: readonly string[]): string[] {
  const out: string[] = [];
  for (const part of parts) {
    const last = out.at(-1) ?? "";
    const isNew = part === "log" || part.startsWith("priority=") || !/^(from|to)=/.test(last);
    if (isNew) out.push(part);
    else out[out.length - 1] = `${last}:${part}`;
  }
  return out;
}

function peerOf(text: string): Peer {
  if (text.startsWith("network/")) return { network: text.slice("network/".length) };
  if (text.startsWith("group/")) return { group: text.slice("group/".length) };
  const [, first, size] = /^(.+)\+(\d+)$/.exec(text) ?? [];
  return first === undefined ? { cidr: text } : { first, size: Number(size) };
}

function wrong(where: string, text: string, why: string): Fault {
  return new Fault("request-invalid", { what: `"${text}" is no rule`, where, why, fix: "see weft sg create --help" });
}

/** `allow in tcp 22,80-90 from 10.0.0.0/8`: for people. */
export function ruleText(rule: Rule): string {
  const what = rule.ports?.join(",") ?? (rule.icmpType === undefined ? undefined : `type ${rule.icmpType}`);
  const peer =
    rule.peer === undefined ? undefined : `${rule.direction === "in" ? "from" : "to"} ${peerText(rule.peer)}`;
  const priority = rule.priority === undefined ? undefined : `priority ${rule.priority}`;
  const words = [
    rule.action,
    rule.direction,
    String(rule.protocol),
    what,
    peer,
    priority,
    rule.log === true ? "log" : "",
  ];
  return words.filter((word) => word !== undefined && word !== "").join(" ");
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
