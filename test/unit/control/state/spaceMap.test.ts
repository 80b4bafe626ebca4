// The map against painting every single address.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cidrOf, contains, ipOf } from "../../../../src/model/address.ts";
import type { Network, Resource } from "../../../../src/model/resource.ts";
import { painted, spaceMapOf } from "../../../../src/control/state/spaceMap.ts";
import { addressUseOf } from "../../../../src/control/state/usage.ts";
import { type View, viewOf } from "../../../../src/control/state/view.ts";

const META = { uid: "u", revision: 1 } as const;

test("of paints that overlap, each address has the last; in order, without gaps, nothing alike side by side", () => {
  const span = fc
    .tuple(fc.nat(80), fc.nat(20), fc.constantFrom("a", "b", "c"))
    .map(([first, size, state]) => ({ first: BigInt(first), last: BigInt(first + size), state }));
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), (paints) => {
      const whole = { first: 10n, last: 70n };
      const all = [{ ...whole, state: "ground" }, ...paints];
      const result = painted(whole, all);
      assert.deepEqual([result[0]?.first, result.at(-1)?.last], [10n, 70n]);
      for (const [i, one] of result.entries()) {
        const next = result[i + 1];
        if (next === undefined) continue;
        assert.equal(one.last + 1n, next.first);
        assert.notEqual(one.state, next.state);
      }
      for (let value = 10n; value <= 70n; value++) {
        const naive = all.findLast(({ first, last }) => first <= value && value <= last)?.state;
        assert.equal(result.find(({ first, last }) => first <= value && value <= last)?.state, naive);
      }
    }),
  );
});

function network(spec: Partial<Network["spec"]> & Pick<Network["spec"], "ipam" | "subnets">): Network {
  return {
    kind: "network",
    name: "blue",
    ...META,
    spec: { driver: "vxlan", vrf: "blue", masquerade: false, enabled: true, ...spec },
  };
}

function endpoint(host: string, n: number, addresses: readonly string[]): Resource {
  const owner = `web${n}`;
  const spec = {
    network: "blue",
    host,
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: `02:00:00:00:00:0${n}`,
    addresses,
  };
  return { kind: "endpoint", name: `${owner}.eth0`, ...META, spec };
}

function view(...resources: readonly Resource[]): View {
  return viewOf("c", 7, resources);
}

test("a segment: its gateway, what is never given out, what is used", () => {
  const blue = network({ ipam: "global", subnets: [{ cidr: "10.7.0.0/28", gateway: "10.7.0.1" }] });
  const map = spaceMapOf(
    view(blue, endpoint("h1", 1, ["10.7.0.2"]), endpoint("h2", 2, ["10.7.0.3"]), endpoint("h2", 3, ["10.7.0.9"])),
    blue,
  );
  assert.deepEqual([map.network, map.ipam, map.revision, map.subnets[0]?.blocks], ["blue", "global", 7, []]);
  assert.deepEqual(
    map.subnets[0]?.intervals.map(({ first, last, state }) => `${first}-${last} ${state}`),
    [
      "10.7.0.0-10.7.0.0 excluded",
      "10.7.0.1-10.7.0.1 gateway",
      "10.7.0.2-10.7.0.3 used",
      "10.7.0.4-10.7.0.8 free",
      "10.7.0.9-10.7.0.9 used",
      "10.7.0.10-10.7.0.14 free",
      "10.7.0.15-10.7.0.15 excluded",
    ],
  );
});

test("ranges, holds and quarantine: what is in no range is not to be given out", () => {
  const blue = network({
    ipam: "global",
    subnets: [{ cidr: "10.7.0.0/27", gateway: "10.7.0.1" }],
    ranges: [
      { name: "a", type: "ip4", first: "10.7.0.4", size: 8, gateway: "10.7.0.6" },
      { name: "b", type: "ip4", first: "10.7.0.24", size: 8 },
    ],
  });
  const hold: Resource = {
    kind: "hold",
    name: "blue:10.7.0.8",
    ...META,
    spec: { network: "blue", first: "10.7.0.8", last: "10.7.0.9", reason: "r", owner: "o" },
  };
  const freed: Resource = {
    kind: "freed",
    name: "blue:u9",
    ...META,
    spec: {
      network: "blue",
      endpoint: "x.eth0",
      addresses: ["10.7.0.24"],
      mac: "02:00:0a:07:00:18",
      range: "b",
      sinceMs: 1,
      untilMs: 2,
    },
  };
  const all = view(blue, endpoint("h1", 1, ["10.7.0.4"]), hold, freed);
  assert.deepEqual(
    spaceMapOf(all, blue).subnets[0]?.intervals.map(({ first, last, state }) => {
      return `${first.slice(7)}-${last.slice(7)} ${state}`;
    }),
    [
      "0-0 excluded",
      "1-1 gateway",
      "2-3 excluded",
      "4-4 used",
      "5-5 free",
      "6-6 gateway",
      "7-7 free",
      "8-9 held",
      "10-11 free",
      "12-23 excluded",
      "24-24 quarantined",
      "25-30 free",
      "31-31 excluded",
    ],
  );
  assert.deepEqual(addressUseOf(all)[0]?.total, 7 + 7);
});

test("what is in quarantine shows in the subnet of its family, and in no other", () => {
  const blue = network({ ipam: "global", subnets: [{ cidr: "10.7.0.0/29" }, { cidr: "::a07:0/125" }] });
  const spec = { network: "blue", endpoint: "x.eth0", mac: "02:00:0a:07:00:02", sinceMs: 1, untilMs: 2 };
  // As a number the IPv6 address is that of 10.7.0.4.
  const freed: Resource = {
    kind: "freed",
    name: "blue:u9",
    ...META,
    spec: { ...spec, addresses: ["10.7.0.2", "::a07:4"] },
  };
  const states = spaceMapOf(view(blue, freed), blue).subnets.map(({ intervals }) =>
    intervals.map(({ first, last, state }) => `${first}-${last} ${state}`),
  );
  assert.deepEqual(states, [
    [
      "10.7.0.0-10.7.0.0 excluded",
      "10.7.0.1-10.7.0.1 free",
      "10.7.0.2-10.7.0.2 quarantined",
      "10.7.0.3-10.7.0.6 free",
      "10.7.0.7-10.7.0.7 excluded",
    ],
    ["::a07:0-::a07:0 excluded", "::a07:1-::a07:3 free", "::a07:4-::a07:4 quarantined", "::a07:5-::a07:7 free"],
  ]);
});

test("blocks and slices of a local network, both families; what nobody has is uncarved", () => {
  const blue = network({
    ipam: "local",
    subnets: [
      { cidr: "10.1.0.0/24", hostPrefix: 28 },
      { cidr: "fd01::/56", hostPrefix: 64 },
    ],
    slices: [
      { name: "mesos", bridge: "m" },
      { name: "docker", bridge: "d" },
    ],
  });
  const block = (host: string, family: 4 | 6, cidr: string): Resource => ({
    kind: "block",
    name: `blue.${host}.${family}`,
    ...META,
    spec: { network: "blue", host, cidr },
  });
  const all = view(
    blue,
    block("h2", 4, "10.1.0.16/28"),
    block("h1", 4, "10.1.0.0/28"),
    block("h1", 6, "fd01::/64"),
    endpoint("h1", 1, ["10.1.0.2", "fd01::2"]),
    endpoint("h2", 2, ["10.1.0.26"]),
  );
  const [four, six] = spaceMapOf(all, blue).subnets;
  assert.deepEqual(four?.blocks, [
    { host: "h1", cidr: "10.1.0.0/28", used: 1, total: 10 },
    { host: "h2", cidr: "10.1.0.16/28", used: 1, total: 10 },
  ]);
  assert.deepEqual(
    four?.intervals.map(({ first, state, host }) => `${first.slice(7)} ${state} ${host ?? "-"}`),
    [
      "0 excluded h1",
      "1 gateway h1",
      "2 used h1",
      "3 free h1",
      "7 excluded h1",
      "9 gateway h1",
      "10 free h1",
      "15 excluded h1",
      "16 excluded h2",
      "17 gateway h2",
      "18 free h2",
      "23 excluded h2",
      "25 gateway h2",
      "26 used h2",
      "27 free h2",
      "31 excluded h2",
      "32 uncarved -",
    ],
  );
  assert.deepEqual([six?.blocks[0]?.host, six?.blocks[0]?.used], ["h1", 1]);
  assert.deepEqual(six?.intervals.at(-1), {
    first: "fd01:0:0:1::",
    last: "fd01::ff:ffff:ffff:ffff:ffff",
    state: "uncarved",
  });
});

test("used and free are what the metrics say, and every endpoint lies in a used interval", () => {
  const taken = fc.uniqueArray(fc.integer({ min: 2, max: 253 }), { maxLength: 40 });
  fc.assert(
    fc.property(taken, (numbers) => {
      const blue = network({ ipam: "global", subnets: [{ cidr: "10.7.0.0/24", gateway: "10.7.0.1" }] });
      const all = view(
        blue,
        ...numbers.map((n) => ({ ...endpoint("h1", 1, [`10.7.0.${n}`]), name: `e${n}` }) as Resource),
      );
      const intervals = spaceMapOf(all, blue).subnets[0]?.intervals ?? [];
      const value = (text: string) => ipOf(text)?.value ?? 0n;
      const sum = (state: string) =>
        intervals.reduce((n, one) => n + (one.state === state ? Number(value(one.last) - value(one.first)) + 1 : 0), 0);
      const [use] = addressUseOf(all);
      assert.deepEqual([sum("used"), sum("free")], [use?.used, (use?.total ?? 0) - (use?.used ?? 0)]);
      const cidr = cidrOf("10.7.0.0/24") ?? assert.fail();
      for (const n of numbers) {
        const ip = ipOf(`10.7.0.${n}`) ?? assert.fail();
        assert(contains(cidr, ip));
        const at = intervals.find((one) => value(one.first) <= ip.value && ip.value <= value(one.last));
        assert.equal(at?.state, "used");
      }
    }),
  );
});
