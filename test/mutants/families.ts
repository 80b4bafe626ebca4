// IPv4 where IPv6 belongs and the other way round, in all the spellings of this tree: identifiers that end in 4 or 6,
// the numbers themselves, and the words of nftables and iproute2 inside strings and templates.
import type { Node } from "oxc-parser";
import type { Edit } from "./edit.ts";

const PAIRS: readonly (readonly [string, string])[] = [
  ["ip", "ip6"],
  ["ip4", "ip6"],
  ["ipv4", "ipv6"],
  ["inet", "inet6"],
  ["icmp", "icmpv6"],
  ["v4", "v6"],
  ["4", "6"],
];

export function familyEdits(node: Node, source: string): Omit<Edit, "kind">[] {
  if (node.type === "Identifier" || node.type === "PrivateIdentifier") return renamed(node, source);
  if (node.type === "TemplateElement") return tokensIn(node, source, ["ip", "ip6", "icmp", "icmpv6"]);
  if (node.type !== "Literal") return [];
  if (node.value === 4 || node.value === 6) return [{ ...spanOf(node), text: node.value === 4 ? "6" : "4" }];
  if (typeof node.value !== "string") return [];
  const whole = otherOf(node.value);
  if (whole !== undefined) return [{ ...spanOf(node), text: JSON.stringify(whole) }];
  return tokensIn(node, source, ["ip", "ip6", "icmp", "icmpv6"]);
}

const spanOf = ({ start, end }: Node) => ({ start, end });

function otherOf(word: string): string | undefined {
  for (const [four, six] of PAIRS) {
    if (word === four) return six;
    if (word === six) return four;
  }
  return undefined;
}

/** `subnet6` for `subnet4`, `isV4` for `isV6`: where the other name does not exist, types say so. */
function renamed(node: Node & { readonly name: string }, source: string): Omit<Edit, "kind">[] {
  const match = /[46](?=$|[A-Z])/.exec(node.name);
  if (match === null) return [];
  const at = source.indexOf(node.name, node.start) + match.index;
  return [{ start: at, end: at + 1, text: match[0] === "4" ? "6" : "4" }];
}

function tokensIn(node: Node, source: string, words: readonly string[]): Omit<Edit, "kind">[] {
  const text = source.slice(node.start, node.end);
  return [...text.matchAll(/(?<=^|[\s"`({])[a-z]+\d?(?=[\s"`)}]|$)/g)].flatMap((match) => {
    const other = words.includes(match[0]) ? otherOf(match[0]) : undefined;
    const start = node.start + match.index;
    return other === undefined ? [] : [{ start, end: start + match[0].length, text: other }];
  });
}
