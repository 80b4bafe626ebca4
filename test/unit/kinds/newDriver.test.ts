// A second driver beside the one that there is: the paths of two channels of one port are kept apart.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Resource } from "../../../src/model/resource.ts";
import { patch } from "./patch.ts";

const ROW = `pipe: { title: "", overhead: { 4: 8, 6: 8 }, protocol: "UDP", hasPort: true, hasVni: true, device: "pi" }`;
patch("/src/model/driver.ts", (source) => [source.replace("\n} as const", `\n  ${ROW},$&`)]);
patch("/src/datapath/tunnel/drivers.ts", (source) => [source.replace("= { vxlan", "= { pipe: vxlan, vxlan")]);

const { snapshotOf } = await import("../../../src/model/resource.ts");
const { compile } = await import("../../../src/datapath/compile.ts");
const { PATHS_NS, pathsOf } = await import("../../../src/datapath/network/paths.ts");
const { worldOf } = await import("../../../src/datapath/world/world.ts");
const { DRIVER_NAMES } = await import("../../../src/model/driver.ts");
/** Of the last row. */
const NUMBER = (DRIVER_NAMES.length - 1) * 65_536 + 4789;
const PLACE = `fd00:7765:${(0x7061 + DRIVER_NAMES.length - 1).toString(16)}:12b5::`;

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;
const host = (n: number) => make("host", `h${n}`, { underlay: `192.0.2.${n}`, underlayMtu: 1500, order: n });
const vrf = { index: 1, vni: 4096, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "70:b3:d5", hostAccess: false };
const network = (driver: string, i: number) =>
  make("network", driver, {
    driver,
    ipam: "global",
    vrf: "a",
    vni: 7 + i,
    subnets: [{ cidr: `10.${i}.0.0/16` }],
    masquerade: false,
    enabled: true,
  });
const endpoint = (n: number) =>
  make("endpoint", `e${n}.eth0`, {
    network: "vxlan",
    host: `h${n}`,
    owner: `e${n}`,
    ifname: "eth0",
    netns: `/run/netns/e${n}`,
    mac: "02:00:00:00:00:01",
    addresses: [`10.0.0.${n}`],
  });
const networks = ["vxlan", "pipe"].map(network);
const snapshot = snapshotOf("c", 1, [host(1), host(2), make("vrf", "a", vrf), ...networks, endpoint(1), endpoint(2)]);

test("each driver of a VRF has a path of its own, by name and by address", () => {
  const world = worldOf(snapshot, "h1") ?? assert.fail();
  assert.deepEqual(
    pathsOf(world).map(({ driver, port, size, to }) => [driver, port, size, to]),
    [
      ["vxlan", 4789, 1450, "fd00:7765:7061:12b5::2"],
      ["pipe", 4789, 1492, `${PLACE}2`],
    ],
  );
  const named = [...compile(snapshot, "h1").values()].flatMap((one) =>
    one.ns !== PATHS_NS ? [] : one.kind === "vxlan" ? [one.name] : one.kind === "address" ? [one.cidr] : [],
  );
  assert.deepEqual(named, ["path4789", "fd00:7765:7061:12b5::1/64", `path${NUMBER}`, `${PLACE}1/64`]);
});
