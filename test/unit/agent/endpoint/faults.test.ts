// What an attach or detach says when it cannot, by its reasons: a program acts on them, and people on what they name.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Refusal } from "../../../../src/kernel/kernel.ts";
import { Fault } from "../../../../src/model/fault.ts";
import type { Endpoint, Host, Network } from "../../../../src/model/resource.ts";
import {
  attachedAlready,
  checkTakes,
  faultOf,
  netnsReserved,
  notObserved,
  notSynced,
  sharesDevice,
  unknownNetwork,
} from "../../../../src/agent/endpoint/faults.ts";
import type { BlockLease } from "../../../../src/agent/journal/blockLease.ts";

const network = (name: string, spec: object = {}) =>
  ({ kind: "network", name, spec: { enabled: true, ipam: "local", ...spec } }) as unknown as Network;
const endpoint = {
  name: "web.eth0",
  spec: { network: "blue", ifname: "eth0", netns: "/run/netns/web", addresses: ["10.7.0.2", "fd07::2"] },
} as unknown as Endpoint;

test("an unknown network is told with the first ten that there are, by name", () => {
  const names = Array.from({ length: 11 }, (_, i) => `n${String(10 - i).padStart(2, "0")}`);
  const { reason, detail } = unknownNetwork(
    "red",
    names.map((name) => network(name)),
  );
  assert.equal(reason, "network-unknown");
  assert(detail.fix.endsWith("n00, n01, n02, n03, n04, n05, n06, n07, n08, n09"), detail.fix);
  assert.match(unknownNetwork("red", []).detail.fix, /\(none yet\)$/);
});

test("a host takes endpoints of enabled networks; of local ones unless it is drained, or may not assign", () => {
  const drained = { name: "h1", spec: { drained: true } } as unknown as Host;
  const host = { name: "h1", spec: {} } as unknown as Host;
  const may = { checkAllocate: () => undefined };
  const mayNot = {
    checkAllocate: () => {
      throw new Fault("unavailable", { what: "alone", fix: "wait" });
    },
  };
  const cases: readonly (readonly [
    Host,
    spec: object,
    Pick<BlockLease, "checkAllocate">,
    reason: string | undefined,
  ])[] = [
    [host, {}, may, undefined],
    [host, { enabled: false }, may, "network-disabled"],
    [host, { enabled: false, ipam: "global" }, may, "network-disabled"],
    [drained, {}, may, "host-drained"],
    [drained, { ipam: "global" }, may, undefined],
    [host, {}, mayNot, "unavailable"],
    [drained, {}, mayNot, "host-drained"],
    [host, { ipam: "global" }, mayNot, undefined],
  ];
  for (const [self, spec, blockLease, reason] of cases) {
    const check = () => checkTakes(self, network("blue", spec), blockLease);
    if (reason === undefined) check();
    else assert.throws(check, { reason }, JSON.stringify(spec));
  }
});

test("what the kernel said is told in the terms of who asked", () => {
  const said = (kind: Refusal["class"]) => faultOf({ class: kind, message: `E: ${kind}` }, endpoint);
  for (const [kind, reason] of [
    ["exists", "interface-taken"],
    ["missing", "netns-missing"],
    ["invalid", "kernel-refused"],
    ["busy", "kernel-refused"],
    ["denied", "kernel-refused"],
  ] as const) {
    assert.equal(said(kind).reason, reason);
    assert.equal(said(kind).detail.why, `E: ${kind}`);
  }
  assert.match(said("exists").message, /"eth0" is taken in \/run\/netns\/web/);
  assert.match(said("missing").message, /\/run\/netns\/web went away/);
  assert.match(said("busy").message, /endpoint "web\.eth0"/);
});

test("other refusals name what stands in the way", () => {
  const cases: readonly (readonly [Fault, reason: string, RegExp])[] = [
    [attachedAlready(endpoint), "name-taken", /to network "blue" in \/run\/netns\/web, with 10\.7\.0\.2, fd07::2/],
    [
      attachedAlready({ ...endpoint, spec: { ...endpoint.spec, workload: "w" } }),
      "name-taken",
      /in \/run\/netns\/web for workload "w", with 10\.7\.0\.2/,
    ],
    [netnsReserved("/proc/1/ns/net", "host"), "netns-reserved", /is the host's own network namespace/],
    [netnsReserved("/run/netns/weft-blue", "vrf:blue"), "netns-reserved", /is the namespace of VRF "blue"/],
    [sharesDevice("blue"), "name-taken", /network "blue" would share its bridge/],
    [notSynced(), "not-synced", /has not heard from its server/],
    [notObserved(), "unavailable", /does not know yet/],
  ];
  for (const [fault, reason, text] of cases) {
    assert.equal(fault.reason, reason);
    assert.match(fault.message, text);
  }
});
