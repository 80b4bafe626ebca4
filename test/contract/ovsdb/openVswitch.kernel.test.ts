// The kernel port with Open vSwitch: what happens when its daemons go and come back, when others have rows there, and
// when it refuses something.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import { diff } from "../../../src/datapath/state/diff.ts";
import { stateOf } from "../../../src/datapath/state/state.ts";
import { type Kernel, type OpResult } from "../../../src/kernel/kernel.ts";
import { linuxKernel } from "../../../src/kernel/linux.ts";
import { obstacle, run } from "../kernel/linuxWorld.ts";
import { until } from "../kernel/world.ts";
import { OpenVswitch, ovsObstacle } from "../../netns/lab/openVswitch.ts";

const skip = obstacle() ?? ovsObstacle() ?? false;
const NS = "vrf:blue" as const;
const BRIDGE: ObjectOf<"ovs-bridge"> = { kind: "ovs-bridge", ns: "host", name: "wob7", of: "network:lan" };
const PORT: ObjectOf<"ovs-port"> = {
  kind: "ovs-port",
  ns: "host",
  name: "wo7",
  of: "network:lan",
  bridge: "wob7",
  type: "internal",
  vlan: 7,
  mtu: 1400,
};
const NETNS: ObjectOf<"netns"> = { kind: "netns", ns: NS };
const LAN: ObjectOf<"bridge"> = {
  kind: "bridge",
  ns: NS,
  name: "wb7",
  mtu: 1400,
  mac: "02:00:00:00:00:01",
  alias: "weft:network:lan",
};
const LINKS: readonly KernelObject[] = [NETNS, LAN];
const DEVICE: ObjectOf<"openvswitch"> = {
  kind: "openvswitch",
  ns: NS,
  name: "wo7",
  mtu: 1400,
  mac: "02:00:00:00:00:02",
  alias: "weft:network:lan",
  master: "wb7",
};
const ALL = [...LINKS, BRIDGE, PORT, DEVICE];

type Host = { readonly ovs: OpenVswitch; readonly kernel: Kernel; readonly netns: string; readonly prefix: string };
let hosts = 0;

/** A host with Open vSwitch; without its daemons where a test starts them itself. */
function host(t: TestContext, starts = true): Host {
  const prefix = `wo${process.pid}x${++hosts}-`;
  const netns = `${prefix}host`;
  run("ip", "netns", "add", netns);
  run("ip", "-n", netns, "link", "set", "lo", "up");
  const ovs = new OpenVswitch(netns);
  const kernel = linuxKernel({ host: `/run/netns/${netns}`, prefix: `${prefix}v-`, ovsdb: ovs.socket });
  t.after(() => {
    kernel.close();
    ovs.close();
    const names = run("ip", "netns", "list").split("\n");
    for (const name of names.filter((one) => one.startsWith(prefix)))
      run("ip", "netns", "del", name.split(" ")[0] ?? "");
  });
  if (starts) {
    ovs.startDatabase();
    ovs.startSwitch();
  }
  return { ovs, kernel, netns, prefix };
}

/** One round: what was refused. */
async function round({ kernel }: Host, desired: readonly KernelObject[]): Promise<readonly OpResult[]> {
  const wanted = stateOf(desired);
  const results = await kernel.apply(
    diff(await kernel.observe([]), wanted).filter(({ object }) => object.kind !== "sysctl"),
  );
  return results.filter(({ refusal }) => refusal !== undefined);
}

const texts = (refused: readonly OpResult[]) =>
  refused.map(({ op, refusal }) => `${op.object.kind}: ${refusal?.class}: ${refusal?.message}`);

async function converged(one: Host, desired: readonly KernelObject[]): Promise<void> {
  await until("it is as wanted", async () => {
    await round(one, desired);
    const ops = diff(await one.kernel.observe([]), stateOf(desired));
    return ops.filter(({ object }) => object.kind !== "sysctl").length === 0;
  });
}

const links = ({ prefix }: Host) => run("ip", "-n", `${prefix}v-blue`, "-br", "link");

test("all is made in one round, and removed in one, with the device where its bridge is", { skip }, async (t) => {
  const one = host(t);
  assert.deepEqual(texts(await round(one, ALL)), []);
  assert.match(links(one), /^wo7 +(UNKNOWN|UP) .*LOWER_UP/m);
  assert.equal(one.ovs.vsctl("get", "port", "wo7", "tag"), "7");
  assert.deepEqual(texts(await round(one, LINKS)), []);
  await until("no device", () => !links(one).includes("wo7"));
  assert.equal(one.ovs.vsctl("list-br"), "");
  assert.deepEqual(texts(await round(one, [])), []);
});

test("a namespace goes with the device in it", { skip }, async (t) => {
  const one = host(t);
  await converged(one, ALL);
  assert.deepEqual(texts(await round(one, [])), []);
  assert.equal(one.ovs.vsctl("list-br"), "");
  await until("no device", () => !run("ip", "-n", one.netns, "-br", "link").includes("wo7"));
});

test("kill -9 of ovs-vswitchd: told, not undone, and all is there after its start", { skip }, async (t) => {
  const one = host(t);
  const stop = new AbortController();
  t.after(() => stop.abort());
  await converged(one, ALL);
  one.ovs.signal("ovs-vswitchd", "SIGKILL");
  await until("it is gone", () => one.kernel.troubles().length > 0);
  assert.match(one.kernel.troubles().join(), /ovs-vswitchd does not run/);
  // A device of the kernel's datapath stays in use.
  const isKernels = one.ovs.vsctl("--no-wait", "get", "bridge", "wob7", "datapath_type") === "system";
  const busy = async () =>
    texts(await round(one, ALL)).some((text) => text.startsWith("openvswitch: busy: ovs-vswitchd"));
  if (isKernels) assert.deepEqual(texts(await round(one, ALL)), []);
  else await until("a refusal", busy);
  assert.equal(one.ovs.vsctl("--no-wait", "list-br"), "wob7", "what is wanted stays");
  let pokes = 0;
  one.kernel.watch(() => pokes++, stop.signal);
  const before = pokes;
  one.ovs.startSwitch();
  await until("a poke", () => pokes > before);
  await converged(one, ALL);
  assert.deepEqual(one.kernel.troubles(), []);
  assert.match(links(one), /^wo7 .*LOWER_UP/m);
  assert(!run("ip", "-n", one.netns, "-br", "link").includes("wo7 "));
});

test("without ovs-vswitchd from the start: told at once, and made when it starts", { skip }, async (t) => {
  const one = host(t, false);
  one.ovs.startDatabase();
  const began = performance.now();
  assert.match(
    texts(await round(one, ALL)).join("\n"),
    /ovs-port: busy: ovs-vswitchd[^]*openvswitch: busy: ovs-vswitchd/,
  );
  await round(one, ALL);
  assert(performance.now() - began < 4000, "rounds do not wait for who is away");
  one.ovs.startSwitch();
  await converged(one, ALL);
});

test("ovs-vswitchd that dies while a round waits for it does not hold it up", { skip }, async (t) => {
  const one = host(t);
  one.ovs.signal("ovs-vswitchd", "SIGSTOP");
  const running = round(one, ALL);
  await until("the round waits", () => one.ovs.vsctl("--no-wait", "list-br") === "wob7");
  one.ovs.signal("ovs-vswitchd", "SIGKILL");
  const killed = performance.now();
  assert.match(texts(await running).join("\n"), /ovs-port: busy: ovs-vswitchd/);
  const tookMs = performance.now() - killed;
  assert(tookMs < 1000, `${tookMs} ms`);
});

test("kill -9 of ovsdb-server: told, other objects are unaffected, and it is followed again", { skip }, async (t) => {
  const one = host(t);
  await converged(one, ALL);
  one.ovs.signal("ovsdb-server", "SIGKILL");
  await until("it is told", () => one.kernel.troubles().length > 0);
  assert.match(one.kernel.troubles().join(), /cannot be reached/);
  const refused = texts(await round(one, [NETNS, { ...LAN, mtu: 1300 }, BRIDGE, PORT, DEVICE]));
  assert(refused.length > 0 && refused.every((text) => text.startsWith("ovs-")), refused.join("\n"));
  assert.match(links(one), /^wo7 .*LOWER_UP/m, "the device stays");
  assert.match(run("ip", "-n", `${one.prefix}v-blue`, "link", "show", "wb7"), /mtu 1300/);
  one.ovs.startDatabase();
  await converged(one, ALL);
  assert.deepEqual(one.kernel.troubles(), []);
});

test("no database: what needs it is refused with its path, and nothing else", { skip }, async (t) => {
  const one = host(t, false);
  const refused = texts(await round(one, ALL));
  assert.deepEqual(
    new Set(refused.map((text) => text.split(":")[0])),
    new Set(["ovs-bridge", "ovs-port", "openvswitch"]),
  );
  assert.match(refused[0] ?? "", /ovs-bridge: busy: .*db\.sock/);
  assert.match(links(one), /^wb7 /m);
});

test("del-port by another is repaired, and what is not Weft's is not touched", { skip }, async (t) => {
  const one = host(t);
  one.ovs.vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type=netdev");
  one.ovs.vsctl("add-port", "theirs", "tap9", "tag=9", "--", "set", "interface", "tap9", "type=internal");
  const before = () => one.ovs.vsctl("--columns=name,tag,external_ids,trunks", "list", "port", "theirs", "tap9");
  const was = before();
  await converged(one, ALL);
  one.ovs.vsctl("del-port", "wo7");
  one.ovs.vsctl("add-port", "wob7", "tap8", "--", "set", "interface", "tap8", "type=internal");
  await converged(one, ALL);
  one.ovs.vsctl("set", "port", "wo7", "tag=8");
  await until("the tag is back", async () => {
    await round(one, ALL);
    return one.ovs.vsctl("get", "port", "wo7", "tag") === "7";
  });
  assert.deepEqual(texts(await round(one, [])), []);
  // A bridge with ports of others stays, and is theirs from now on.
  assert.deepEqual(one.ovs.vsctl("list-ports", "wob7"), "tap8");
  assert.equal(one.ovs.vsctl("get", "bridge", "wob7", "external_ids"), "{}");
  assert.equal(before(), was);
});

test("what another has under the same name is not taken", { skip }, async (t) => {
  const one = host(t);
  one.ovs.vsctl("add-br", "wob7", "--", "set", "bridge", "wob7", "datapath_type=netdev");
  one.ovs.vsctl("add-port", "wob7", "wo7", "tag=9", "--", "set", "interface", "wo7", "type=internal");
  const refused = texts(await round(one, ALL));
  assert.match(refused.join("\n"), /ovs-bridge: exists: .*bridge wob7[^]*ovs-port: exists: .*port wo7/);
  assert.equal(one.ovs.vsctl("get", "port", "wo7", "tag"), "9");
  assert(!links(one).includes("wo7"));
});

test("one that Open vSwitch cannot make is refused with its reason, and hurts no other", { skip }, async (t) => {
  const one = host(t);
  const absent: KernelObject = { ...PORT, name: "eth77", type: "system", of: "physical:a" };
  const without: KernelObject = { ...PORT, name: "wo8", bridge: "nowhere" };
  const refused = texts(await round(one, [...ALL, absent, without]));
  assert.match(refused.join("\n"), /ovs-port: awaited: Open vSwitch has no bridge/);
  assert.match(
    refused.join("\n"),
    /ovs-port: invalid: Open vSwitch: could not open network device eth77 \(No such device\)/,
  );
  assert.equal(refused.length, 2);
  assert.match(links(one), /^wo7 .*LOWER_UP/m);
  // It is there a moment later.
  run("ip", "-n", one.netns, "link", "add", "eth77", "type", "veth", "peer", "name", "eth78");
  await converged(one, [...ALL, absent]);
});

test("a device that the host uses itself is never made a port, whatever the server knows of it", {
  skip,
}, async (t) => {
  const one = host(t);
  const uplink: KernelObject = { ...PORT, name: "eth7", type: "system", of: "physical:a" };
  run("ip", "-n", one.netns, "link", "add", "eth7", "up", "type", "veth", "peer", "name", "eth8");
  run("ip", "-n", one.netns, "address", "add", "192.0.2.7/24", "dev", "eth7");
  const refused = texts(await round(one, [...ALL, uplink]));
  assert.deepEqual(refused, ["ovs-port: denied: as a port of wob7 eth7 would lose 192.0.2.7/24"]);
  assert.doesNotMatch(one.ovs.vsctl("list-ports", "wob7"), /eth7/);
  run("ip", "-n", one.netns, "address", "del", "192.0.2.7/24", "dev", "eth7");
  await converged(one, [...ALL, uplink]);
});

test("a host without it is connected once, to look for what was left, and then not", { skip }, async (t) => {
  const one = host(t, false);
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on("data", (piece) => {
      for (const { id, method } of JSON.parse(`[${String(piece).replaceAll("}{", "},{")}]`) as {
        id: number;
        method: string;
      }[])
        socket.write(JSON.stringify({ id, error: null, result: method === "list_dbs" ? ["Open_vSwitch"] : {} }));
    });
  }).listen(one.ovs.socket);
  t.after(() => server.close());
  for (let n = 0; n < 5; n++) assert.deepEqual(texts(await round(one, LINKS)), []);
  assert.equal(connections, 1);
  server.getConnections((_, open) => assert.equal(open, 0));
});

test("rows of an earlier life are found and removed", { skip }, async (t) => {
  const one = host(t);
  await converged(one, ALL);
  one.kernel.close();
  const next = {
    ...one,
    kernel: linuxKernel({ host: `/run/netns/${one.netns}`, prefix: `${one.prefix}v-`, ovsdb: one.ovs.socket }),
  };
  t.after(() => next.kernel.close());
  assert.deepEqual(texts(await round(next, [])), []);
  assert.equal(one.ovs.vsctl("list-br"), "");
});
