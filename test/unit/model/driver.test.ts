// What server and compiler know of drivers and uplinks, against numbers of the standards.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contains, formatCidr, ipOf } from "../../../src/model/address.ts";
import {
  DRIVERS,
  checkDriver,
  isPeerDevice,
  packetsText,
  packetsWord,
  peerDevice,
  routedDevice,
  tunnelMtu,
  tunnelText,
} from "../../../src/model/driver.ts";
import { Fault } from "../../../src/model/fault.ts";
import { UPLINK_CIDRS, UPLINK_RANGES, VRF_INDEX_LAST, uplinkEnds } from "../../../src/model/uplink.ts";

test("VXLAN takes 50 bytes of an IPv4 underlay and 70 of an IPv6 one", () => {
  assert.deepEqual(DRIVERS.vxlan.overhead, { 4: 50, 6: 70 });
  assert.equal(tunnelMtu("vxlan", { underlay: "192.0.2.1", underlayMtu: 1500 }), 1450);
  assert.equal(tunnelMtu("vxlan", { underlay: "2001:db8::1", underlayMtu: 9000 }), 8930);
});

test("GRE with a key takes 42 bytes of an IPv4 underlay and 62 of an IPv6 one", () => {
  assert.equal(tunnelMtu("gre", { underlay: "192.0.2.1", underlayMtu: 1500 }), 1458);
  assert.equal(tunnelMtu("gre", { underlay: "2001:db8::1", underlayMtu: 1500 }), 1438);
  assert.deepEqual([tunnelText({ driver: "gre" }, 0), packetsText("gre", 0)], ["GRE", "IP protocol GRE"]);
  assert.deepEqual([packetsWord("gre", 0), packetsWord("vxlan", 8472)], ["gre", "8472"]);
});

test("a device to one peer is named after tunnel and peer, in 15 characters; a given name is not for these", () => {
  assert.equal(routedDevice("gre", { vni: 7, vtepName: "vtep1024" }), "gt7");
  assert.equal(peerDevice("gt7", 35), "gt7-z");
  assert.equal(peerDevice("gt16777215", 1_679_615).length, 15);
  assert.ok(isPeerDevice("gt7-z") && !isPeerDevice("gt-7") && !isPeerDevice("wx7-1"));
});

test("a driver is told to people with what passes between hosts; one that is unknown is refused by name", () => {
  assert.deepEqual(
    [tunnelText({ driver: "vxlan" }, 4789), packetsText("vxlan", 8472)],
    ["VXLAN, UDP port 4789", "UDP 8472"],
  );
  assert.equal(routedDevice("vxlan", { vni: 7 }), "wx7");
  assert.equal(routedDevice("vxlan", { vni: 7, vtepName: "vtep1024" }), "vtep1024");
  assert.throws(
    () => checkDriver("pigeon", "spec.driver"),
    (error) => error instanceof Fault && error.reason === "unsupported" && error.detail.where === "spec.driver",
  );
  assert.throws(() => checkDriver("toString", "spec.driver"), Fault);
});

test("each VRF has its own piece of both uplink ranges, up to the last index", () => {
  assert.deepEqual(UPLINK_CIDRS.map(formatCidr), [UPLINK_RANGES[4], UPLINK_RANGES[6]]);
  assert.deepEqual(uplinkEnds(1, 4), { host: "169.254.64.5", vrf: "169.254.64.6", length: 30 });
  assert.deepEqual(uplinkEnds(1, 6), { host: "fd00:7765:6675:1::1", vrf: "fd00:7765:6675:1::2", length: 64 });
  assert.deepEqual(uplinkEnds(0, 6), { host: "fd00:7765:6675::1", vrf: "fd00:7765:6675::2", length: 64 });
  assert.equal(uplinkEnds(VRF_INDEX_LAST, 4).vrf, "169.254.127.254");
  for (const [i, family] of ([4, 6] as const).entries()) {
    const [range, end] = [UPLINK_CIDRS[i], ipOf(uplinkEnds(VRF_INDEX_LAST, family).vrf)];
    assert.ok(range !== undefined && end !== undefined && contains(range, end));
  }
});
