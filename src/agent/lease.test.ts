import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../model/fault.ts";
import { cidrOf, ipOf } from "../model/address.ts";
import type { Segment } from "../datapath/layout.ts";
import { assign } from "./lease.ts";
import { Taken } from "./taken.ts";

const range = (cidr: string, gateway: string) => ({
  cidr: cidrOf(cidr) ?? assert.fail(),
  gateway: ipOf(gateway) ?? assert.fail(),
});
const mesos: Segment = {
  bridge: "m-dcos",
  mac: "",
  slice: "mesos",
  gateways: [],
  ranges: [range("9.0.1.0/29", "9.0.1.1")],
};
const docker: Segment = {
  bridge: "d-dcos",
  mac: "",
  slice: "docker",
  gateways: [],
  ranges: [range("9.0.1.8/29", "9.0.1.9"), range("fd01::8:0/112", "fd01::8:1")],
};
const network = "dcos";
function taken(...addresses: readonly string[]): Taken {
  const all = new Taken();
  for (const address of addresses) all.add(address);
  return all;
}
const reason = (expected: string) => (fault: unknown) => fault instanceof Fault && fault.reason === expected;

describe("a lease from the host's block", () => {
  test("is the lowest free address, without network, gateway and broadcast, until none is left", () => {
    const used = taken();
    for (let i = 2; i <= 6; i++) {
      const lease = assign([mesos, docker], used, { network });
      assert.deepEqual(lease.addresses, [`9.0.1.${i}`]);
      assert.equal(lease.slice, "mesos");
      for (const address of lease.addresses) used.add(address);
    }
    assert.throws(() => assign([mesos, docker], used, { network }), reason("exhausted"));
    used.delete("9.0.1.3");
    assert.deepEqual(assign([mesos], used, { network }).addresses, ["9.0.1.3"]);
  });

  test("what was given back lately comes last, and of that the oldest first", () => {
    const used = taken("9.0.1.2");
    const freed = new Map([
      ["9.0.1.3", 20],
      ["9.0.1.4", 10],
    ]);
    const next = () => assign([mesos], used, { network }, (address) => freed.get(address)).addresses[0] ?? "";
    const given = [];
    for (let n = 0; n < 4; n++) {
      given.push(next());
      used.add(given.at(-1) ?? "");
    }
    assert.deepEqual(given, ["9.0.1.5", "9.0.1.6", "9.0.1.4", "9.0.1.3"]);
    assert.throws(next, reason("exhausted"));
    used.delete("9.0.1.3");
    const asked = assign([mesos], used, { network, addresses: ["9.0.1.3"] }, () => 5);
    assert.deepEqual(asked.addresses, ["9.0.1.3"]);
  });

  test("has one address per family of the slice, and a MAC from the first", () => {
    assert.deepEqual(assign([mesos, docker], taken(), { network, slice: "docker" }), {
      addresses: ["9.0.1.10", "fd01::8:2"],
      mac: "02:00:09:00:01:0a",
      slice: "docker",
    });
  });

  test("takes what is asked for, and completes it", () => {
    const lease = assign([docker], taken(), { network, addresses: ["fd01::8:99"], mac: "02:00:00:00:00:AA" });
    assert.deepEqual(lease.addresses, ["9.0.1.10", "fd01::8:99"]);
    assert.equal(lease.mac, "02:00:00:00:00:aa");
  });

  test("refuses what cannot be, and says which", () => {
    const at =
      (addresses: string[], used: string[] = []) =>
      () =>
        assign([mesos], taken(...used), { network, addresses });
    assert.throws(at(["9.0.2.2"]), reason("address-outside"));
    for (const taken of ["9.0.1.0", "9.0.1.1", "9.0.1.7"]) assert.throws(at([taken]), reason("address-taken"));
    assert.throws(at(["9.0.1.4"], ["9.0.1.4"]), reason("address-taken"));
    assert.throws(at(["nine"]), reason("address-invalid"));
    assert.throws(() => assign([mesos], taken(), { network, slice: "lxc" }), reason("request-invalid"));
    assert.throws(() => assign([], taken(), { network }), reason("exhausted"));
    for (const mac of ["01:00:00:00:00:01", "00:00:00:00:00:00", "x"])
      assert.throws(() => assign([mesos], taken(), { network, mac }), reason("address-invalid"));
  });
});
