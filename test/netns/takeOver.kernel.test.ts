// A host's only device becomes a port of a network's bridge, with the host's addresses and default routes, and the
// server is reached by it: nothing is lost on the way there and back, and what cannot be reached afterwards is undone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import { SERVER_IP } from "./lab/layout.ts";
import { pinging, stopPinging } from "./lab/pinging.ts";
import { watchAddresses } from "./lab/routeEvents.ts";

const cluster = new Cluster(2);
const H1 = cluster.netnsOf("h1");
const WEFT = join(import.meta.dirname, "../../bin/weft");
const OWN = "172.31.77.11";
const OWN6 = "fd77::11";
/** Of the host, on the same device and elsewhere on the segment. */
const SERVER6 = "fd77::1";
const CREATE = [
  "network",
  "create",
  "office",
  "--driver",
  "bridge",
  "--parent",
  "lan",
  "--subnet",
  "172.31.77.0/24",
  "--gateway",
  SERVER_IP,
];
let inside: Workload;

async function weft(...words: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await cluster.weft(...words);
  assert.equal(code, 0, stderr);
  return stdout + stderr;
}
const inHost = (...words: readonly string[]) => must("ip", "-n", H1, ...words);
const addressesOn = async (dev: string) => (await run("ip", "-n", H1, "-br", "address", "show", "dev", dev)).stdout;

/** What the host has, without what is left of lifetimes and which device it is on. */
async function hostState(dev: string): Promise<string> {
  const [addresses, routes, routes6] = await Promise.all([
    inHost("address", "show", "dev", dev),
    inHost("route", "show", "table", "all"),
    inHost("-6", "route", "show", "table", "all"),
  ]);
  const lines = [
    ...addresses.split("\n").filter((line) => /inet6? /.test(line)),
    ...routes.split("\n"),
    ...routes6.split("\n"),
  ];
  return lines
    .filter((line) => line.includes(dev) && !/fe80|ff00|table local|scope link *$/.test(line))
    .map((line) =>
      line
        .replaceAll(dev, "DEV")
        .replace(/expires \d+sec/, "expires")
        .trim(),
    )
    .sort()
    .join("\n");
}

async function setDevice(...more: readonly string[]): Promise<void> {
  await weft("host", "set", "h1", "--physical", "lan=eth0", ...more);
}
const isTakenOver = async () =>
  (await addressesOn("wb-office")).includes(`${OWN}/`) && !(await addressesOn("eth0")).includes(`${OWN}/`);
const isGivenBack = async () =>
  (await addressesOn("eth0")).includes(`${OWN}/`) &&
  !(await inHost("-d", "link", "show", "eth0")).includes("bridge_slave");
/** The take-over was confirmed: it is not undone any more. */
const isConfirmed = async () => (await isTakenOver()) && /device taken over/.test(cluster.log("h1"));

before(async () => {
  cluster.flags.set("h1", ["--take-over-timeout", "2s"]);
  await cluster.open();
  for (const words of [
    ["address", "add", `${SERVER6}/64`, "dev", "lan", "nodad"],
    ["address", "add", "2001:db8::8/128", "dev", "lo", "nodad"],
  ])
    await must("ip", "-n", cluster.wire, ...words);
  for (const words of [
    ["address", "add", `${OWN6}/64`, "dev", "eth0", "nodad"],
    ["address", "add", "172.31.77.99/24", "dev", "eth0", "label", "eth0:1"],
    ["-6", "route", "add", "default", "via", SERVER6, "metric", "77", "proto", "static", "expires", "900"],
    ["route", "add", "default", "via", SERVER_IP, "table", "77", "proto", "static"],
    ["route", "add", "203.0.113.0/24", "via", SERVER_IP, "metric", "5", "mtu", "1400"],
  ])
    await inHost(...words);
  await weft("physical", "create", "lan");
});
after(async () => {
  stopPinging();
  await cluster.close();
});

test("without permission a device of the host's is refused, with all that would be cut", async () => {
  await setDevice();
  await until("the agent tells of eth0", async () => (await weft("physical", "show", "lan")).includes(OWN6));
  const { code, stderr } = await cluster.weft(...CREATE);
  assert.notEqual(code, 0);
  for (const lost of [
    OWN,
    OWN6,
    `the default route 0.0.0.0/0 via ${SERVER_IP}`,
    "its connection to the server",
    "--take-over",
  ])
    assert.ok(stderr.includes(lost), `${lost} is not in: ${stderr}`);
});

/**
 * The kernel itself drops what comes in while it makes a port of a device, or none (br_add_if, del_nbp). That takes
 * some 0.1 ms, but the kernel may be preempted in it; what we do in a wrong order loses something each time.
 */
const THERE_AND_BACK = 5;
/** Pings in a tenth of a second: less than it takes to ask anew for a neighbour. */
const A_MOMENT = 50;

test("addresses and routes go onto the bridge and back without a lost packet", async () => {
  const losses: string[] = [];
  for (let n = 0; n < THERE_AND_BACK; n++) {
    const bare = await watchAddresses(H1, ["eth0", "wb-office"], [OWN, OWN6]);
    const lost = await thereAndBack();
    assert.deepEqual(await bare(), []);
    if (Math.max(...lost) <= 2) return;
    losses.push(lost.join(", "));
  }
  assert.fail(`lost ${losses.join("; ")}`);
});

/** How many packets each flow lost. */
async function thereAndBack(): Promise<readonly number[]> {
  const wasBefore = await hostState("eth0");
  const pings = [
    pinging(cluster.wire, OWN),
    pinging(cluster.wire, OWN6),
    pinging(H1, "198.51.100.7"),
    pinging(H1, "2001:db8::8"),
  ];
  await setDevice("--take-over");
  await weft(...CREATE, "--hosts", "h1");
  await until("the device is taken over", isConfirmed);
  assert.equal(await hostState("wb-office"), wasBefore.replaceAll("eth0:1", "DEV").replaceAll("DEV:1", "DEV"));
  const mac = /ether (\S+)/.exec(await inHost("link", "show", "eth0"))?.[1];
  assert.ok((await inHost("link", "show", "wb-office")).includes(`ether ${mac}`));
  await cluster.converged();
  await weft("network", "delete", "office", "--yes", "--wait");
  await until("the device is given back", isGivenBack);
  assert.equal(await hostState("eth0"), wasBefore);
  await until("the bridge is gone", async () => !(await inHost("link")).includes("wb-office"));
  return Promise.all(pings.map((stop) => stop()));
}

/** Multicast networks by the device, which one of them names: the two workloads of each. */
const groups = new Map<string, readonly Workload[]>();
async function groupsReach(device: string): Promise<void> {
  const [index] = (await inHost("-o", "link", "show", "dev", device)).split(":");
  for (const [network, [near, far]] of groups)
    await until(`${network} crosses by ${device}`, async () => {
      const links = await run("ip", "-n", cluster.vrfNetns("h1", network), "-d", "link");
      // In another namespace the device has no name.
      return (
        links.stdout.includes(` dev if${index} `) && near !== undefined && cluster.pings(near, far?.addresses[0] ?? "")
      );
    });
}

test("workloads on the bridge reach the segment and not the host, which reaches them", async () => {
  for (const [n, network, device] of [
    [1, "band", "eth0"],
    [2, "tone", "auto"],
  ] as const) {
    const words = ["--subnet", `10.${n}.0.0/16`, "--peers", "multicast", "--underlay-device", device];
    await weft("network", "create", network, "--vrf", network, ...words);
    const pair = ["h1", "h2"].map((host) => cluster.attach(host, network, `${network}-${host}`));
    groups.set(network, await Promise.all(pair));
  }
  await groupsReach("eth0");
  await weft(...CREATE, "--hosts", "h1");
  await until("the device is taken over", isConfirmed);
  await groupsReach("wb-office");
  inside = await cluster.attach("h1", "office", "a");
  await cluster.reaches(inside, SERVER_IP, 2);
  assert.equal(await cluster.pings(inside, OWN), false);
  await cluster.reaches(H1, inside.addresses[0] ?? "", 2);
  await cluster.converged();
  const { hosts } = await cluster.status();
  const before1 = hosts.find(({ host }) => host === "h1")?.status?.driftRepaired;
  await weft("physical", "edit", "lan", "--description", "another revision", "--wait");
  await cluster.converged();
  assert.equal((await cluster.status()).hosts.find(({ host }) => host === "h1")?.status?.driftRepaired, before1);
});

test("an agent that is killed leaves all as it is; without permission the device is given back", async () => {
  const stop = pinging(cluster.wire, OWN);
  await cluster.kill("h1");
  await cluster.startAgent("h1");
  await cluster.converged();
  assert.ok(await isTakenOver());
  await setDevice();
  await until("the device is given back", isGivenBack);
  assert.ok((await stop()) <= A_MOMENT);
  await groupsReach("eth0");
  await until("the server says so", async () =>
    /no way out of host "h1": device eth0 .*is the host's own/.test(await weft("status")),
  );
});

test("an address with a lease on the device leaves it a port, and the host says what to do", async () => {
  await setDevice("--take-over");
  await until("the device is taken over", isConfirmed);
  const stop = pinging(cluster.wire, OWN);
  await inHost("address", "add", "172.31.77.112/32", "dev", "eth0", "valid_lft", "300", "preferred_lft", "300");
  await until("the host says so", async () =>
    /eth0 stays a port of wb-office, but has 172\.31\.77\.112\/32/.test(await weft("status")),
  );
  // The server has heard of the lease by now, or hears of it at once.
  await until("the server knows it", async () => /lease/.test(await weft("host", "show", "h1", "-o", "json")), 15_000);
  await weft("physical", "edit", "lan", "--description", "a round with that", "--wait");
  await cluster.converged();
  assert.match(await inHost("-d", "link", "show", "eth0"), /bridge_slave/);
  assert.doesNotMatch(await weft("status"), /no way out/);
  assert.ok((await stop()) <= A_MOMENT);
  // Somebody takes it out of the bridge: no port can be made of it now, so all goes back.
  await inHost("link", "set", "eth0", "nomaster");
  await until("the device is given back", isGivenBack);
  assert.match(await inHost("route"), RegExp(`default via ${SERVER_IP} dev eth0`));
  await inHost("address", "delete", "172.31.77.112/32", "dev", "eth0");
  await until("it is taken over again", isTakenOver);
  await setDevice();
  await until("the device is given back", isGivenBack);
});

/** What comes from the server by the bridge is dropped. */
const FROM_SERVER = `iifname "wb-office" ip saddr ${SERVER_IP} tcp sport 7474`;
const DROP = `table inet cut { chain c { type filter hook input priority 0; ${FROM_SERVER} drop; }; }`;
const nft = (text: string) => must("ip", "netns", "exec", H1, "nft", text);

test("if the server is not reached afterwards it is undone, and not tried again by itself", async () => {
  const wasBefore = await hostState("eth0");
  await nft(DROP);
  await setDevice("--take-over");
  await until("it is tried", isTakenOver);
  await until("it is undone", isGivenBack);
  assert.equal(await hostState("eth0"), wasBefore);
  await until("the host says so", async () =>
    /device eth0 is not taken over: the server was not reached by wb-office within 2 s/.test(await weft("status")),
  );
  await nft("delete table inet cut");
  await setTimeout(500);
  assert.ok(await isGivenBack());
});

test("an agent that dies before the server was reached undoes it when it starts again", async () => {
  await nft(DROP);
  await setDevice();
  await until("the setting has arrived", async () => !/not taken over/.test(await weft("status")));
  await setDevice("--take-over");
  await until("it is tried", isTakenOver);
  await cluster.kill("h1");
  assert.ok(await isTakenOver(), "the kernel stays as it is");
  await cluster.startAgent("h1");
  assert.match(cluster.log("h1"), /take-over undone.*the agent ended before/);
  await nft("delete table inet cut");
  await until("it is tried again, with a server", isConfirmed);
});

test("a bridge that somebody removes is made anew, and what the host had is on it again", async () => {
  const wasBefore = await hostState("wb-office");
  await inHost("link", "delete", "wb-office");
  await until("it is back", isTakenOver);
  assert.equal(await hostState("wb-office"), wasBefore);
});

test("purge gives the device back before the bridge goes", async () => {
  await cluster.kill("h1");
  const stop = pinging(cluster.wire, OWN);
  const args = cluster.agentArgs("h1");
  const valueOf = (flag: string) => [flag, args[args.indexOf(flag) + 1] ?? ""];
  const flags = ["--state-dir", "--socket", "--netns-prefix", "--cni-dir", "--ovsdb"].flatMap(valueOf);
  await must("nsenter", `--net=/run/netns/${H1}`, WEFT, "purge", "--yes", ...flags);
  assert.ok(await isGivenBack());
  assert.ok((await stop()) <= A_MOMENT);
  assert.doesNotMatch(await inHost("-d", "link"), /wb-office|bridge_slave|weft:/);
});
