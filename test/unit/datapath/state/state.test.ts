// What tells kernel objects apart, what goes along with a link, and the names of tables' texts and of sets' fields.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { isAnyFurther, isWayOut } from "../../../../src/datapath/world/reach.ts";
import { declared, nftDigest, setOf } from "../../../../src/datapath/kinds/tables.ts";
import type { KernelObject, ObjectOf } from "../../../../src/datapath/kinds.ts";
import { TBF_HANDLES } from "../../../../src/datapath/kinds/entries.ts";
import { deviceOf, keyOf } from "../../../../src/datapath/state/state.ts";

const NS = "vrf:blue";

test("routes of one destination and device are apart by a metric of their own", () => {
  const route: ObjectOf<"route"> = { kind: "route", ns: NS, dst: "10.1.0.0/24", dev: "wx7", onlink: false };
  assert.equal(keyOf(route), "route vrf:blue 10.1.0.0/24 wx7");
  assert.equal(keyOf({ ...route, metric: 0 }), "route vrf:blue 10.1.0.0/24 wx7 metric 0");
  assert.equal(keyOf({ ...route, via: "10.0.0.1" }), keyOf(route));
});

test("a table's text is named by the first 16 digits of its hash; with frames' table, by both", () => {
  const sha = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);
  assert.equal(nftDigest("body"), sha("body"));
  assert.equal(nftDigest("body", ""), sha("body"));
  assert.equal(nftDigest("body", "bridge"), sha("body\0bridge"));
});

test("what is on a link goes along with it; a link and what stands alone do not", () => {
  const on: readonly KernelObject[] = [
    { kind: "tbf", ns: NS, dev: "x", rate: 1, burst: 1, limit: 1 },
    { kind: "redirect", ns: NS, dev: "x", to: "y" },
    { kind: "checksums", ns: NS, dev: "x" },
    { kind: "address", ns: NS, dev: "x", cidr: "10.1.0.1/24" },
    { kind: "route", ns: NS, dev: "x", dst: "10.1.0.0/24", onlink: false },
    { kind: "neighbour", ns: NS, dev: "x", ip: "10.1.0.2", mac: "02:00:00:00:00:01" },
    { kind: "fdb", ns: NS, dev: "x", mac: "02:00:00:00:00:01", dst: "192.0.2.1" },
    { kind: "bridge-fdb", ns: NS, dev: "x", mac: "02:00:00:00:00:01" },
  ];
  for (const object of on) assert.equal(deviceOf(object), "x", object.kind);
  for (const object of [
    { kind: "netns", ns: NS },
    { kind: "element", ns: NS, set: "ports", key: "x" },
  ] as const)
    assert.equal(deviceOf(object), undefined);
  // Two numbers, because a queue is replaced by one of another number.
  assert.equal(new Set(TBF_HANDLES).size, 2);
});

test("sets have the fields that their types declare", () => {
  const words = (name: string) => [setOf(name)?.fields.join(" "), setOf(name)?.isMap, declared(name).split(" ")[0]];
  assert.deepEqual(words("ports"), ["port", true, "map"]);
  assert.deepEqual(words("macs"), ["port mac", false, "set"]);
  assert.deepEqual(words("bound4"), ["port mac ip4", true, "map"]);
  assert.deepEqual(words("bound6"), ["port mac ip6", true, "map"]);
  assert.deepEqual(words("floods"), ["port", false, "set"]);
  assert.deepEqual(words("members4_web"), ["ip4", false, "set"]);
  assert.deepEqual(words("members6_web"), ["ip6", false, "set"]);
  assert.equal(declared("members4_web"), "set members4_web { type ipv4_addr; }\n");
  assert.equal(declared("members6_web"), "set members6_web { type ipv6_addr; }\n");
  assert.equal(setOf("drops"), undefined);
  assert.throws(() => declared("drops"), /there is no set drops/);
});

test("the way out is the first interface by name, or the one that says so; others depend on it", () => {
  const [a, b, c] = ["eth0", "eth1", "eth2"].map((ifname) => ({ ifname }));
  assert(a !== undefined && b !== undefined && c !== undefined);
  assert.deepEqual([isWayOut(a, [a, b]), isWayOut(b, [a, b]), isWayOut(b, [])], [true, false, true]);
  assert.equal(isWayOut(b, [{ ...a, defaultRoute: false }, b]), true);
  assert.equal(isWayOut({ ...b, defaultRoute: true }, [a, b]), true);
  assert.equal(isWayOut({ ...a, defaultRoute: false }, []), false);
  assert.equal(isAnyFurther([], "eth0"), false);
  assert.equal(isAnyFurther([a], "eth0"), false);
  assert.equal(isAnyFurther([a, b], "eth0"), true);
  assert.equal(isAnyFurther([a, b], "eth1"), false);
  assert.equal(isAnyFurther([a, { ...b, defaultRoute: true }], "eth0"), false);
  assert.equal(isAnyFurther([a, b, c], "eth1"), true);
});
