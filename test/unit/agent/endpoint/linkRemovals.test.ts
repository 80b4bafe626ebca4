// What a detach removes, and what is asked of the kernel about an endpoint.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName, shaperName } from "../../../../src/datapath/state/names.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { Endpoint } from "../../../../src/model/resource.ts";
import { linksOf } from "../../../../src/agent/endpoint/linkRemovals.ts";
import { Inspection } from "../../../../src/agent/endpoint/inspection.ts";

const WEB = { name: "web.eth0", spec: { ifname: "eth0", netns: "/run/netns/web" } } as unknown as Endpoint;
const NETNS: KernelObject = { kind: "netns", ns: "vrf:blue" };
const BRIDGE: KernelObject = {
  kind: "bridge",
  ns: "vrf:blue",
  name: "wb",
  mtu: 1450,
  mac: "02:00:00:00:00:01",
  alias: "weft:network:n",
};
const PORT: Veth = {
  kind: "veth",
  ns: "vrf:blue",
  name: portName("web.eth0"),
  mtu: 1450,
  mac: "fe:00:00:00:00:01",
  alias: "weft:endpoint:web.eth0",
  master: "wb",
  peer: { ns: "/run/netns/web", name: "eth0", mtu: 1450, mac: "02:00:00:00:00:02" },
};
const SHAPER: KernelObject = {
  kind: "ifb",
  ns: "vrf:blue",
  name: shaperName("web.eth0"),
  mtu: 1450,
  mac: "",
  alias: "weft:x:y",
};

test("an endpoint's links are its pair, and what shapes it if that is there", () => {
  const pair = linksOf(WEB, "vrf:blue", stateOf([PORT]));
  assert.deepEqual(
    pair.map(({ kind, ns, name }) => [kind, ns, name]),
    [["veth", "vrf:blue", PORT.name]],
  );
  assert.deepEqual([pair[0].peer.ns, pair[0].peer.name], ["/run/netns/web", "eth0"]);
  const shaped = linksOf(WEB, "vrf:blue", stateOf([PORT, SHAPER])).slice(1);
  assert.deepEqual(
    shaped.map(({ kind, ns, name }) => [kind, ns, name]),
    [["ifb", "vrf:blue", shaperName("web.eth0")]],
  );
  const elsewhere = { ...SHAPER, ns: "vrf:red" } as KernelObject;
  assert.equal(linksOf(WEB, "vrf:blue", stateOf([PORT, elsewhere])).length, 1);
});

test("what an endpoint stands on is compared with what the kernel has now, and nothing else is", async () => {
  const kernel = new FakeKernel();
  kernel.addWorkload("/run/netns/web");
  const address: KernelObject = { kind: "address", ns: "/run/netns/web", dev: "eth0", cidr: "10.7.0.2/24" };
  const own = [PORT, address];
  const inspection = new Inspection({ kernel } as unknown as ConstructorParameters<typeof Inspection>[0]);
  const add = (objects: readonly KernelObject[]) => kernel.apply(objects.map((object) => ({ op: "add", object })));
  await add([NETNS, BRIDGE]);
  const missing = await inspection.differences(WEB, own);
  assert.match(missing.join("\n"), new RegExp(`ip -n \\S+ link add .*${PORT.name}[^]*10\\.7\\.0\\.2/24`));
  await add(own);
  assert.deepEqual(await inspection.differences(WEB, own), []);
  kernel.disturb(address);
  const lines = await inspection.differences(WEB, own);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /10\.7\.0\.2\/24/);
});
