// How a host chooses an address in its block: which one, which never, and when the block is full.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { cidrOf, ipOf } from "../../../../src/model/address.ts";
import type { Segment } from "../../../../src/datapath/world/layout.ts";
import type { Network } from "../../../../src/model/resource.ts";
import { allocate, inQuarantine, type LeaseRequest } from "../../../../src/agent/journal/blockAllocator.ts";
import { UsedAddresses } from "../../../../src/agent/journal/journal.ts";

const range = (cidr: string, gateway: string) => ({
  cidr: cidrOf(cidr) ?? assert.fail(),
  gateway: ipOf(gateway) ?? assert.fail(),
});
const mesos: Segment = {
  bridge: "m-dcos",
  mac: "",
  slice: "mesos",
  gateways: [],
  prefixes: [range("9.0.1.0/29", "9.0.1.1")],
};
const docker: Segment = {
  bridge: "d-dcos",
  mac: "",
  slice: "docker",
  gateways: [],
  prefixes: [range("9.0.1.8/29", "9.0.1.9"), range("fd01::8:0/112", "fd01::8:1")],
};
const network = "dcos";
function taken(...addresses: readonly string[]): UsedAddresses {
  const all = new UsedAddresses();
  for (const address of addresses) all.add(address);
  return all;
}
const reason = (expected: string) => (fault: unknown) => fault instanceof Fault && fault.reason === expected;

describe("a lease from the host's block", () => {
  test("is the lowest free address, without network, gateway and broadcast, until none is left", () => {
    const used = taken();
    for (let i = 2; i <= 6; i++) {
      const lease = allocate([mesos, docker], used, { network });
      assert.deepEqual(lease.addresses, [`9.0.1.${i}`]);
      assert.equal(lease.slice, "mesos");
      for (const address of lease.addresses) used.add(address);
    }
    assert.throws(() => allocate([mesos, docker], used, { network }), reason("exhausted"));
    used.delete("9.0.1.3");
    assert.deepEqual(allocate([mesos], used, { network }).addresses, ["9.0.1.3"]);
  });

  test("what was given back lately comes last, and of that the oldest first", () => {
    const used = taken("9.0.1.2");
    const freed = new Map([
      ["9.0.1.3", 20],
      ["9.0.1.4", 10],
    ]);
    const next = () => allocate([mesos], used, { network }, (address) => freed.get(address)).addresses[0] ?? "";
    const given = [];
    for (let n = 0; n < 4; n++) {
      given.push(next());
      used.add(given.at(-1) ?? "");
    }
    assert.deepEqual(given, ["9.0.1.5", "9.0.1.6", "9.0.1.4", "9.0.1.3"]);
    assert.throws(next, reason("exhausted"));
    used.delete("9.0.1.3");
    const asked = allocate([mesos], used, { network, addresses: ["9.0.1.3"] }, () => 5);
    assert.deepEqual(asked.addresses, ["9.0.1.3"]);
  });

  test("of what was given back at various times the oldest is next, wherever it stands", () => {
    const times = [
      [10, 20, 30],
      [20, 10, 30],
      [30, 20, 10],
      [10, 30, 20],
      [5, 5, 5],
    ];
    for (const [two = 0, three = 0, four = 0] of times) {
      const freed = new Map([
        ["9.0.1.2", two],
        ["9.0.1.3", three],
        ["9.0.1.4", four],
      ]);
      const used = taken("9.0.1.5", "9.0.1.6");
      const given = [...freed].map(() => {
        const [address = ""] = allocate([mesos], used, { network }, (text) => freed.get(text)).addresses;
        used.add(address);
        return address;
      });
      const expected = [...freed].toSorted(([, a], [, b]) => a - b).map(([address]) => address);
      assert.deepEqual(given, expected, JSON.stringify([two, three, four]));
    }
  });

  test("has one address per family of the slice, and a MAC from the first", () => {
    assert.deepEqual(allocate([mesos, docker], taken(), { network, slice: "docker" }), {
      addresses: ["9.0.1.10", "fd01::8:2"],
      mac: "02:00:09:00:01:0a",
      slice: "docker",
    });
  });

  test("takes what is asked for, and completes it", () => {
    const lease = allocate([docker], taken(), { network, addresses: ["fd01::8:99"], mac: "02:00:00:00:00:AA" });
    assert.deepEqual(lease.addresses, ["9.0.1.10", "fd01::8:99"]);
    assert.equal(lease.mac, "02:00:00:00:00:aa");
  });

  test("takes one of each family in either order, and gives them in the order of the block", () => {
    for (const addresses of [
      ["9.0.1.12", "fd01::8:99"],
      ["fd01::8:99", "9.0.1.12"],
    ])
      assert.deepEqual(allocate([docker], taken(), { network, addresses }).addresses, ["9.0.1.12", "fd01::8:99"]);
  });

  test("refuses what cannot be, and says which", () => {
    const at =
      (addresses: string[], used: string[] = []) =>
      () =>
        allocate([mesos], taken(...used), { network, addresses });
    assert.throws(at(["9.0.2.2"]), reason("address-outside"));
    for (const taken of ["9.0.1.0", "9.0.1.1", "9.0.1.7"]) assert.throws(at([taken]), reason("address-taken"));
    assert.throws(at(["9.0.1.4"], ["9.0.1.4"]), reason("address-taken"));
    assert.throws(at(["nine"]), reason("address-invalid"));
    assert.throws(() => allocate([mesos], taken(), { network, slice: "lxc" }), reason("request-invalid"));
    assert.throws(() => allocate([], taken(), { network }), reason("exhausted"));
    for (const mac of ["01:00:00:00:00:01", "00:00:00:00:00:00", "x"])
      assert.throws(() => allocate([mesos], taken(), { network, mac }), reason("address-invalid"));
  });
});

describe("what was given back", () => {
  const networkWith = (quarantine?: number) =>
    ({ name: "n", spec: quarantine === undefined ? {} : { quarantine } }) as unknown as Network;
  const freedAt = (atMs: number) => new Map([["n 10.0.0.2", { endpoint: "old", atMs }]]);
  const rests = (
    nowMs: number,
    atMs: number,
    more: { endpoint?: string; quarantine?: number; openedMs?: number } = {},
  ) => {
    const { endpoint = "new", quarantine, openedMs = 0 } = more;
    return inQuarantine(freedAt(atMs), networkWith(quarantine), endpoint, { nowMs, openedMs })("10.0.0.2");
  };

  test("rests for a minute, or as long as its network says, from then on", () => {
    assert.equal(rests(1_000, 1_000), 1_000);
    assert.equal(rests(60_999, 1_000), 1_000);
    assert.equal(rests(61_000, 1_000), undefined);
    assert.equal(rests(5_999, 1_000, { quarantine: 5 }), 1_000);
    assert.equal(rests(6_000, 1_000, { quarantine: 5 }), undefined);
    assert.equal(rests(1_000, 1_000, { quarantine: 0 }), undefined);
  });

  test("is its former owner's at once, and another network's", () => {
    assert.equal(rests(1_000, 1_000, { endpoint: "old" }), undefined);
    const at = inQuarantine(freedAt(1_000), networkWith(), "new", { nowMs: 1_000, openedMs: 0 });
    assert.equal(at("10.0.0.3"), undefined);
    const other = { ...networkWith(), name: "m" };
    assert.equal(inQuarantine(freedAt(1_000), other, "new", { nowMs: 1_000, openedMs: 0 })("10.0.0.2"), undefined);
  });

  test("is passed over whatever is used around it, until nothing else is free", () => {
    const freed = new Map([
      ["fd01::8:2", 30],
      ["fd01::8:3", 10],
    ]);
    const six: Segment = { bridge: "b", mac: "", gateways: [], prefixes: [range("fd01::8:0/125", "fd01::8:4")] };
    const used = taken();
    const given = [];
    for (let n = 0; n < 6; n++) {
      const [address = ""] = allocate([six], used, { network }, (text) => freed.get(text)).addresses;
      used.add(address);
      given.push(address);
    }
    assert.deepEqual(given, ["fd01::8:1", "fd01::8:5", "fd01::8:6", "fd01::8:7", "fd01::8:3", "fd01::8:2"]);
    assert.throws(() => allocate([six], used, { network }, (text) => freed.get(text)), reason("exhausted"));
    // The gateway is nobody's, though somebody may have had it before it was one.
    used.delete("fd01::8:2");
    freed.set("fd01::8:4", 1);
    assert.deepEqual(allocate([six], used, { network }, (text) => freed.get(text)).addresses, ["fd01::8:2"]);
  });
});

describe("a wish that cannot be", () => {
  const six: Segment = { bridge: "b", mac: "", gateways: [], prefixes: [range("fd01::8:0/112", "fd01::8:1")] };
  const told = (segments: readonly Segment[], request: Omit<LeaseRequest, "network">, used = taken()) => {
    try {
      allocate(segments, used, { network, ...request });
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
    return assert.fail("it was granted");
  };

  test("names what it was about", () => {
    const cases: readonly (readonly [Fault, reason: string, text: RegExp])[] = [
      [told([mesos], { range: "web" }), "range-unknown", /"dcos" has no address ranges/],
      [told([], {}), "exhausted", /"dcos" has no block on this host/],
      [told([], { slice: "mesos" }), "exhausted", /"dcos" has no block on this host/],
      [told([mesos, docker], { slice: "lxc" }), "request-invalid", /no slice "lxc".*choose one of mesos, docker$/],
      [told([six], { slice: "lxc" }), "request-invalid", /no slice "lxc".*leave it out$/],
      [
        told([docker], { addresses: ["9.0.1.10", "10.0.0.1"] }),
        "address-outside",
        /^10\.0\.0\.1 .*9\.0\.1\.8\/29 or fd01::8:0\/112/,
      ],
      [told([docker], { addresses: ["9.0.1.10", "x"] }), "address-invalid", /addresses\[1\]/],
      [
        told([docker], { addresses: ["9.0.1.10", "9.0.1.11"] }),
        "request-invalid",
        /^9\.0\.1\.11 is a second IPv4.*\[1\]/,
      ],
      [
        told([docker], { addresses: ["fd01::8:4", "9.0.1.10", "fd01::8:5"] }),
        "request-invalid",
        /^fd01::8:5 is a second IPv6.*\[2\]/,
      ],
      [told([docker], { addresses: ["9.0.1.9"] }), "address-taken", /the subnet's own, its broadcast or its gateway's/],
      [told([docker], { addresses: ["fd01::8:5"] }, taken("fd01::8:5")), "address-taken", /an endpoint has it/],
    ];
    for (const [fault, expected, text] of cases) {
      assert.equal(fault.reason, expected, fault.message);
      assert.match(fault.message, text);
    }
    const all = taken(...["2", "3", "4", "5", "6"].map((last) => `9.0.1.${last}`));
    assert.match(told([mesos], {}, all).message, /no free address.*all of 9\.0\.1\.0\/29 is in use/);
  });

  test("of an address that is asked for, neither rest nor another's matters", () => {
    assert.deepEqual(
      allocate([six], taken("fd01::8:2"), { network, addresses: ["fd01::8:3"] }, () => 1),
      {
        addresses: ["fd01::8:3"],
        mac: "02:00:00:08:00:03",
      },
    );
  });
});
