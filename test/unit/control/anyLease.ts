// For property tests: small networks, every lease that one could give, as texts, and what may be asked of it. Without
// arithmetic on addresses: all that differs between two of a network is the last byte.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { AddressRange } from "../../../src/model/range.ts";
import type { Network } from "../../../src/model/resource.ts";

const SPACES = [
  { isOf: (text: string) => text.includes("."), head: /^(.*\.)(\d+)$/, base: 10, pad: 1 },
  { isOf: (text: string) => /^(..:){5}..$/.test(text), head: /^(.*:)(..)$/, base: 16, pad: 2 },
  { isOf: () => true, head: /^(.*:)(.*)$/, base: 16, pad: 1 },
] as const;
export function splitText(text: string) {
  const space = SPACES.findIndex(({ isOf }) => isOf(text));
  const { head, base, pad } = SPACES[space] ?? assert.fail(text);
  const [, front = "", last = ""] = head.exec(text) ?? assert.fail(text);
  const n = last === "" ? 0 : Number.parseInt(last, base);
  const at = (m: number) => front + (m === 0 && space === 2 ? "" : m.toString(base).padStart(pad, "0"));
  return { space, front, n, at };
}
export const plus = (text: string | undefined, by: number) => {
  if (text === undefined) return [];
  const { n, at } = splitText(text);
  return [at(Math.max(0, n + by))];
};
export function between(first: string, last: string): string[] {
  const { n, at } = splitText(first);
  return Array.from({ length: Math.max(0, splitText(last).n - n + 1) }, (_, i) => at(n + i));
}
export const isV6 = (text: string) => splitText(text).space === 2;
export const isMac = (text: string) => splitText(text).space === 1;
export const isSlaac = (text: string) => text.includes("ff:fe");
/** 02:00 and the low 32 bits, of addresses as they are here. */
export function macFor(text: string): string {
  const { n } = splitText(text);
  return `02:00:${isV6(text) ? "00" : "0a"}:00:00:${n.toString(16).padStart(2, "0")}`;
}

// What a network could give at all.

export type Lease = {
  readonly range: string | undefined;
  readonly addresses: readonly string[];
  readonly mac?: string;
};
export const textsOf = ({ addresses, mac }: Lease) => [...addresses, ...(mac === undefined ? [] : [mac])];

function leasesOfRange(range: AddressRange): Lease[] {
  return Array.from({ length: range.size ?? 0 }, (_, i): Lease => {
    const [mac] = plus(range.mac ?? (range.first === undefined ? undefined : macFor(range.first)), i);
    const slaac =
      range.prefix === undefined ? [] : [range.prefix.replace("::/64", `::ff:fe00:${Number(`0x${mac?.slice(-2)}`)}`)];
    return {
      range: range.name,
      addresses: [...plus(range.first, i), ...plus(range.first6, i), ...slaac],
      ...(mac === undefined ? {} : { mac }),
    };
  });
}
/** Each subnet as if it were a range: all of its addresses, and the MACs that are made of those of IPv4. */
function leasesOfSubnet(cidr: string): Lease[] {
  const [first = "", length] = cidr.split("/");
  const size = 2 ** ((isV6(first) ? 128 : 32) - Number(length));
  return between(first, plus(first, size - 1).join()).map((address) => ({
    range: undefined,
    addresses: [address],
    ...(isV6(address) ? {} : { mac: macFor(address) }),
  }));
}
export const fieldsOf = ({ spec }: Network): Lease[][] =>
  spec.ranges?.map(leasesOfRange) ?? spec.subnets.map(({ cidr }) => leasesOfSubnet(cidr));
/** What no endpoint has of a subnet: its first address, and the last of IPv4. */
export function endsOf(cidr: string): string[] {
  const all = leasesOfSubnet(cidr).flatMap(({ addresses }) => addresses);
  return [...all.slice(0, 1), ...(cidr.includes(":") ? [] : all.slice(-1))];
}
export function neverGiven({ spec }: Network): Set<string> {
  const gateways = [
    ...spec.subnets.map(({ gateway }) => gateway),
    ...(spec.ranges ?? []).flatMap(({ gateway, gateway6 }) => [gateway, gateway6]),
  ].flatMap((text) => (text === undefined || text === "none" ? [] : [text]));
  const bridge = spec.subnets.find(({ gateway }) => gateway !== "none")?.gateway;
  const ends = spec.subnets.flatMap(({ cidr }) => endsOf(cidr));
  return new Set([...gateways, ...ends, ...(bridge === undefined ? [] : [macFor(bridge)])]);
}

export const NETWORKS: readonly NetworkInput[] = [
  { subnets: [{ cidr: "10.0.0.0/29" }] },
  { subnets: [{ cidr: "10.0.0.0/29", gateway: "10.0.0.3" }, { cidr: "fd00::/125" }] },
  {
    subnets: [{ cidr: "10.0.0.0/28" }, { cidr: "fd00::/124", gateway: "none" }],
    ranges: [
      { name: "a", type: "ip4-6-static", first: "10.0.0.5", first6: "fd00::4", size: 3 },
      { name: "b", type: "ip4", first: "10.0.0.0", size: 4, mac: "02:00:00:00:00:20" },
    ],
  },
  {
    subnets: [{ cidr: "10.0.0.0/28", gateway: "none" }],
    ranges: [
      { name: "a", type: "ether", mac: "02:00:00:00:00:01", size: 3 },
      { name: "b", type: "ip4", first: "10.0.0.5", size: 3, gateway: "10.0.0.6" },
      { name: "s", type: "ip6", prefix: "fd00:1::/64", mac: "02:00:00:00:00:05", size: 2 },
    ],
  },
];
/** What is asked about: texts that the network has, and some that it has not. */
export const askable = (network: Network) => [
  ...fieldsOf(network).flat().flatMap(textsOf),
  "10.0.0.15",
  "fd00::f",
  "02:00:0a:00:00:0f",
];
const nth = fc.nat(40);
const owner = fc.constantFrom("q", "r", "s", "t", "u", "v", "w", "x", "y", "z");
const range = fc.option(fc.constantFrom("a", "b", "s", "piece-1", "none"), { nil: undefined, freq: 1 });
export const action = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("attach" as const),
      network: fc.constantFrom("net", "net", "part"),
      owner,
      asks: fc.oneof(
        fc.constant<number[]>([]),
        fc.constant<number[]>([]),
        fc.array(nth, { minLength: 1, maxLength: 2 }),
      ),
      range,
    }),
  },
  { weight: 7, arbitrary: fc.record({ do: fc.constant("detach" as const), owner }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(30, 61) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom<("hold" | "release")[]>("hold", "release", "release"),
      first: nth,
      more: fc.constantFrom(0, 0, 0, 1, 2, -1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("reserve" as const), size: fc.integer({ min: 1, max: 3 }), range }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("return" as const) }) },
);
