// One attachment, told in each version's words, alone and behind others.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attachment } from "../../../../src/model/status.ts";
import { lacking, resultOf } from "../../../../src/doors/cni/cni.ts";

const ATTACHMENT: Attachment = {
  endpoint: "c1.eth0",
  spec: {
    network: "blue",
    host: "h1",
    owner: "c1",
    ifname: "eth0",
    netns: "/run/netns/c1",
    mac: "02:00:0a:07:01:02",
    addresses: ["10.7.1.2", "fd07:1::2"],
  },
  mtu: 1450,
  interfaceAddresses: ["10.7.1.2/24", "fd07:1::2/64"],
  gateways: ["10.7.1.1", "fd07:1::1"],
  routes: ["0.0.0.0/0 via 10.7.1.1", "::/0 via fd07:1::1"],
  dns: [],
};
const BEFORE = {
  cniVersion: "1.0.0",
  interfaces: [{ name: "veth1" }, { name: "eth1", mac: "02:00:00:00:00:99", sandbox: "/run/netns/c1" }],
  ips: [{ interface: 1, address: "192.0.2.2/24" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { nameservers: ["192.0.2.1"], domain: "lab" },
};

test("1.1.0 has MTU and priority, 1.0.0 has not, and before that an address said its family", () => {
  const newest = resultOf("1.1.0", ATTACHMENT, { nameservers: ["10.0.0.1"] }, undefined);
  assert.deepEqual(newest, {
    cniVersion: "1.1.0",
    interfaces: [{ name: "eth0", mac: "02:00:0a:07:01:02", mtu: 1450, sandbox: "/run/netns/c1" }],
    ips: [
      { interface: 0, address: "10.7.1.2/24", gateway: "10.7.1.1" },
      { interface: 0, address: "fd07:1::2/64", gateway: "fd07:1::1" },
    ],
    routes: [
      { dst: "0.0.0.0/0", gw: "10.7.1.1", priority: 1024 },
      { dst: "::/0", gw: "fd07:1::1", priority: 1024 },
    ],
    dns: { nameservers: ["10.0.0.1"] },
  });
  const first = resultOf("1.0.0", ATTACHMENT, {}, undefined);
  assert.deepEqual(first["interfaces"], [{ name: "eth0", mac: "02:00:0a:07:01:02", sandbox: "/run/netns/c1" }]);
  assert.deepEqual(first["routes"], [
    { dst: "0.0.0.0/0", gw: "10.7.1.1" },
    { dst: "::/0", gw: "fd07:1::1" },
  ]);
  for (const version of ["0.3.1", "0.4.0"] as const) {
    assert.deepEqual(resultOf(version, ATTACHMENT, {}, undefined)["ips"], [
      { version: "4", interface: 0, address: "10.7.1.2/24", gateway: "10.7.1.1" },
      { version: "6", interface: 0, address: "fd07:1::2/64", gateway: "fd07:1::1" },
    ]);
  }
});

test("name servers: the configuration's, else those of the plugin before, else the network's", () => {
  const named = { ...ATTACHMENT, dns: ["10.7.0.53"] };
  assert.deepEqual(resultOf("1.1.0", named, {}, undefined)["dns"], { nameservers: ["10.7.0.53"] });
  assert.deepEqual(resultOf("1.1.0", named, {}, BEFORE)["dns"], BEFORE.dns);
  assert.deepEqual(resultOf("1.1.0", named, { nameservers: ["10.0.0.1"] }, BEFORE)["dns"], {
    nameservers: ["10.0.0.1"],
    domain: "lab",
  });
});

test("a network without gateway has addresses and no way out", () => {
  const result = resultOf("1.0.0", { ...ATTACHMENT, gateways: [], routes: [] }, {}, undefined);
  assert.deepEqual(result["ips"], [
    { interface: 0, address: "10.7.1.2/24" },
    { interface: 0, address: "fd07:1::2/64" },
  ]);
  assert.deepEqual(result["routes"], []);
});

test("behind another plugin: its result stays, Weft's own is added, with indexes that are right", () => {
  const result = resultOf("1.0.0", { ...ATTACHMENT, routes: ["10.7.0.0/16 via 10.7.1.1"] }, { domain: "blue" }, BEFORE);
  assert.deepEqual(result, {
    cniVersion: "1.0.0",
    interfaces: [...BEFORE.interfaces, { name: "eth0", mac: "02:00:0a:07:01:02", sandbox: "/run/netns/c1" }],
    ips: [
      ...BEFORE.ips,
      { interface: 2, address: "10.7.1.2/24", gateway: "10.7.1.1" },
      { interface: 2, address: "fd07:1::2/64", gateway: "fd07:1::1" },
    ],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "10.7.0.0/16", gw: "10.7.1.1" }],
    dns: { nameservers: ["192.0.2.1"], domain: "blue" },
  });
});

test("what a result lacks is found, what others added or changed is theirs", () => {
  const result = resultOf("1.0.0", ATTACHMENT, {}, BEFORE);
  assert.deepEqual(lacking(result, ATTACHMENT), []);
  assert.deepEqual(lacking({ ...result, routes: [], dns: {} }, ATTACHMENT), []);
  assert.match(lacking({ ...result, ips: [] }, ATTACHMENT).join(), /lacks 10.7.1.2\/24.*lacks fd07:1::2\/64/);
  assert.match(lacking(BEFORE, ATTACHMENT).join(), /no interface eth0/);
});

test("an address counts on the container's own interface, and on no other of that name or place", () => {
  const alone = resultOf("1.0.0", ATTACHMENT, {}, undefined);
  assert.deepEqual(lacking(alone, ATTACHMENT), []);
  const [own, ips] = [alone["interfaces"] as object[], alone["ips"] as object[]];
  // The host's end may have the same name; it is in no sandbox.
  const ends = [{ name: "eth0" }, { name: "eth0", sandbox: "" }];
  assert.match(lacking({ ...alone, interfaces: ends }, ATTACHMENT).join(), /no interface eth0 in a sandbox/);
  const moved = ips.map((ip) => ({ ...ip, interface: 2 }));
  assert.deepEqual(lacking({ ...alone, interfaces: [...ends, ...own], ips: moved }, ATTACHMENT), []);
  assert.equal(lacking({ ...alone, interfaces: [...ends, ...own] }, ATTACHMENT).length, ips.length);
});
