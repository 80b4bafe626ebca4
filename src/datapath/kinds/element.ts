// An element of a set or map of the tables (state/sets.ts says which there are): what grows with endpoints, so that one
// more costs one small transaction.
import { ipOf } from "../../model/address.ts";
import { setOf } from "../state/sets.ts";
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { MARK } from "./mark.ts";
import { nft } from "./nft.ts";

export type Element = {
  readonly kind: "element";
  readonly ns: Ns;
  readonly set: string;
  /** Its fields joined with " . ". */
  readonly key: string;
  /** Of a map: 8 hexadecimal digits. */
  readonly value?: string;
};

/** Key and value in the words of nft(8): numbers, not addresses, where a set is declared by raw expressions. */
export function elementText({ set, key, value }: Element): string {
  const type = setOf(set);
  const words = key.split(" . ").map((part, i) => {
    const field = type?.fields[i];
    if (field === "port") return `"${part}"`;
    if (field === "mac" && set === "macs") return `0x${part.replaceAll(":", "")}`;
    if (field === "ip6" && set === "bound6") return `0x${(ipOf(part)?.value ?? 0n).toString(16).padStart(32, "0")}`;
    return part;
  });
  return `${words.join(" . ")}${value === undefined ? "" : ` : 0x${value}`}`;
}

/** Without the quotes, which a shell takes away. */
const line = (verb: "add" | "delete", o: Element, shell: Shell) =>
  `${shell.inside(o.ns)}nft ${verb} element bridge ${MARK} ${o.set} { ${elementText(o).replaceAll('"', "")} }`;

export const element = defineKind<Element>({
  role: "alone",
  // With the tables, in the same transaction where both change.
  layer: 2.5,
  key: ({ ns, set, key }) => `element ${ns} ${set} ${key}`,
  print: {
    add: (o, shell) => [line("add", o, shell)],
    // A map has one value for a key: the old one goes first.
    set: (from, to, shell) => [line("delete", from, shell), line("add", to, shell)],
    remove: (o, shell) => [line("delete", o, shell)],
  },
  examples: [
    {
      needs: standsOn(nft),
      is: { kind: "element", ns: "vrf:blue", set: "ports", key: "wp1", value: "40000001" },
      becomes: { kind: "element", ns: "vrf:blue", set: "ports", key: "wp1", value: "40000002" },
    },
    {
      needs: standsOn(nft),
      is: {
        kind: "element",
        ns: "vrf:blue",
        set: "bound6",
        key: "wp1 . 02:00:0a:07:00:09 . fd00:7::5",
        value: "40000001",
      },
    },
    { needs: standsOn(nft), is: { kind: "element", ns: "vrf:blue", set: "macs", key: "wp1 . 02:00:0a:07:00:09" } },
  ],
});
