// How what the host has on a device goes to a bridge and back, step by step, and how a route's message is rewritten.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  giveBackMove,
  restoreMove,
  type Step,
  takeOverMove,
  whyImmovable,
} from "../../../../src/kernel/takeOver/plan.ts";
import { readUsedRoute } from "../../../../src/kernel/takeOver/hostUse.ts";
import { movedBody } from "../../../../src/kernel/takeOver/send.ts";
import { FOREVER_S, type HostUse, type UsedAddress, type UsedRoute } from "../../../../src/kernel/takeOver/types.ts";
import { spanOf } from "../../../../src/kernel/netlink/wire.ts";

function address(cidr: string, more: Partial<UsedAddress> = {}): UsedAddress {
  const peer = cidr.slice(0, cidr.indexOf("/"));
  const none = { broadcast: "", label: "", flags: 0x80, scope: 0, metric: 0, protocol: 0 };
  return { cidr, peer, ...none, preferredS: FOREVER_S, validS: FOREVER_S, ...more };
}
function route(dst: string, via: string, more: Partial<UsedRoute> = {}): UsedRoute {
  return { dst, via, table: 254, metric: 0, tos: 0, protocol: 3, hasNexthopId: false, body: "", ...more };
}
const use: HostUse = {
  device: "eth0",
  index: 2,
  mac: "02:00:00:00:00:01",
  rpFilter: 1,
  addresses: [address("192.0.2.2/24", { label: "eth0:1" }), address("2001:db8::2/64")],
  routes: [route("0.0.0.0/0", "192.0.2.1"), route("198.51.100.0/24", "")],
  connected: [route("192.0.2.0/24", "", { protocol: 2 })],
  neighbours: [{ ip: "192.0.2.1", mac: "02:00:00:00:00:09", isPermanent: false }],
  keepsProtocols: true,
};

/** `address 192.0.2.2/24 eth0`, one a line. */
function words(steps: readonly Step[]): readonly string[] {
  return steps.map((step) => {
    const what =
      "address" in step ? step.address.cidr : "route" in step ? step.route.dst : "value" in step ? step.value : "";
    return [step.do, what, step.device].filter((word) => word !== "").join(" ");
  });
}

test("a device is taken over: what receives is ready before what sends changes, and what was goes last", () => {
  const { begin, change, end } = takeOverMove(use, "wb-a");
  assert.deepEqual(words(begin), [
    "rp-filter 2 eth0",
    "rp-filter 2 wb-a",
    "address 192.0.2.2/24 wb-a",
    "address 2001:db8::2/64 wb-a",
    "enslave eth0",
  ]);
  // By the second the gateway of the first is reached.
  assert.deepEqual(words(change), ["neighbour wb-a", "route 198.51.100.0/24 wb-a", "route 0.0.0.0/0 wb-a"]);
  assert.deepEqual(words(end), [
    "no-route 192.0.2.0/24 eth0",
    "no-address 2001:db8::2/64 eth0",
    "no-address 192.0.2.2/24 eth0",
    "address 2001:db8::2/64 wb-a",
    "rp-filter 1 wb-a",
    "rp-filter 1 eth0",
  ]);
  assert.ok(
    begin.every((step) => step.do !== "address" || step.address.label === ""),
    "a label is one device's",
  );
});

test("it is given back: nothing goes by the bridge any more when the device leaves it", () => {
  const { begin, change, end } = giveBackMove({ ...use, device: "wb-a", index: 7 }, "eth0", 1);
  assert.deepEqual(words(begin).slice(2), ["address 192.0.2.2/24 eth0", "address 2001:db8::2/64 eth0"]);
  assert.deepEqual(words(change).slice(1), [
    "route 198.51.100.0/24 eth0",
    "route 0.0.0.0/0 eth0",
    "no-route 192.0.2.0/24 wb-a",
  ]);
  assert.deepEqual(words(end), [
    "free eth0",
    "no-address 2001:db8::2/64 wb-a",
    "no-address 192.0.2.2/24 wb-a",
    "address 2001:db8::2/64 eth0",
    "rp-filter 1 eth0",
  ]);
});

test("what was saved and is nowhere is put onto the device; what is there is left alone", () => {
  const [first] = use.addresses;
  const now = { ...use, addresses: first === undefined ? [] : [first], routes: use.routes.slice(0, 1) };
  const { begin, change } = restoreMove(use, now);
  assert.deepEqual([words(begin), words(change)], [["address 2001:db8::2/64 eth0"], ["route 198.51.100.0/24 eth0"]]);
  assert.deepEqual(restoreMove(use, use).begin, []);
});

test("what cannot go to another device is said, each with what to do", () => {
  assert.deepEqual(whyImmovable(use), []);
  const leased = address("192.0.2.7/24", { validS: 3600, preferredS: 3600 });
  const ofRouter = address("2001:db8::7/64", { validS: 3600, preferredS: 3600, protocol: 2 });
  assert.match(
    whyImmovable({ ...use, addresses: [leased] }).join(),
    /leases 192\.0\.2\.7\/24 for eth0 \(DHCP\).*fixed/,
  );
  assert.deepEqual(whyImmovable({ ...use, addresses: [ofRouter] }), []);
  const bound = route("0.0.0.0/0", "", { hasNexthopId: true });
  assert.match(whyImmovable({ ...use, routes: [bound] }).join(), /nexthop object/);
  const twice = [route("10.0.0.0/8", "192.0.2.1"), route("10.0.0.0/8", "192.0.2.9")];
  assert.match(whyImmovable({ ...use, routes: twice }).join(), /two routes 10\.0\.0\.0\/8 with one metric/);
  assert.deepEqual(whyImmovable({ ...use, routes: [twice[0] ?? bound, route("10.0.0.0/8", "", { metric: 5 })] }), []);
  assert.match(whyImmovable({ ...use, keepsProtocols: false }).join(), /does not tell who made an address/);
});

/** As the kernel told them (6.18): a next hop of each, and one of an IPv6 default route that ends in 217 s. */
const MULTIPATH =
  "02180000fe0300010000000008000f00fe0000000800010009090900240009001000000102000000080005000a000001" +
  "1000000002000000080005000a000009";
const ENDS =
  "0a000000fe0400010000000008000f00fe000000080006004d00000014000500fd000000000000000000000000000001" +
  "080004000200000024000c00000000000000000054c20000000000000000000000000000000000000000000005001400" +
  "00000000";
const told = (body: Buffer) => readUsedRoute({ ...spanOf(body), type: 24, flags: 0, seq: 0 });

test("a route's message leads to another link, all of its next hops, and keeps all else", () => {
  const { indexes, ...moved } = told(movedBody(MULTIPATH, 2, 7));
  assert.deepEqual(indexes, [7, 7]);
  assert.deepEqual({ ...moved, body: "" }, { ...route("9.9.9.0/24", "") });
  assert.deepEqual(told(movedBody(MULTIPATH, 3, 7)).indexes, [2, 2], "next hops by other links stay");
  const ends = movedBody(ENDS, 2, 7);
  assert.deepEqual([told(ends).indexes, told(ends).via, told(ends).metric], [[7], "fd00::1", 77]);
  // RTA_EXPIRES in seconds, of 49,748 ticks.
  assert.ok(ends.toString("hex").includes("08001700f2010000"));
});
