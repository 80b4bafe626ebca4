// Workloads that join, leave and change networks, on the real kernel: three hosts, real processes, real packets.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Json, type Workload } from "./lab/cluster.ts";
import { pinging, stopPinging } from "./lab/pinging.ts";

const EXAMPLE = join(import.meta.dirname, "../../examples/apcera.conf");

describe("members of networks on three hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const instances: Workload[] = [];
  const weft = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.weft(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}${stdout}\n${cluster.log("h1").slice(-2000)}`);
    return stdout;
  };
  const create = async (name: string, ...more: string[]) => {
    await weft("network", "create", name, "--pool", "apcera", ...more, "--wait");
    const { spec } = (await cluster.api("GET", `/v1/networks/${name}`)).body;
    return spec.subnets[0].cidr as string;
  };
  /** Each instance as it stands in another network. */
  const inNetwork = async (network: string): Promise<Workload[]> => {
    const { items } = (await cluster.api("GET", "/v1/endpoints?limit=1000")).body;
    return instances.flatMap((instance) => {
      const name = instance.endpoint.split(".")[0];
      const found = items.find((e: Json) => e.spec.network === network && e.spec.owner === name);
      return found === undefined
        ? []
        : [{ ...instance, endpoint: found.name, addresses: found.spec.addresses, mac: found.spec.mac }];
    });
  };
  const everyPair = async (network: string) => {
    const all = await inNetwork(network);
    assert.equal(all.length, instances.length, `all are in ${network}`);
    for (const a of all)
      for (const b of all)
        if (a !== b)
          for (const ip of b.addresses)
            await until(`${a.endpoint} -> ${b.endpoint} ${ip}`, () => cluster.pings(a, ip), 5000);
    return all;
  };
  const interfaces = async ({ netns }: Workload) =>
    (await must("ip", "-n", netns, "-br", "link"))
      .trim()
      .split("\n")
      .map((line) => line.split(/[@ ]/)[0] ?? "")
      .filter((name) => name !== "lo")
      .sort();

  before(() => cluster.open());
  after(async () => {
    stopPinging();
    await cluster.close();
  });

  test("an Apcera configuration becomes a pool, whose networks of both kinds live together", async () => {
    assert.match(await weft("import", "apcera", EXAMPLE), /pool\/apcera created/);
    assert.equal(await create("front"), "192.168.1.0/24");
    assert.equal(await create("back", "--ipam", "local"), "10.2.0.0/16");
    for (const [i, host] of cluster.hosts.entries())
      instances.push(await cluster.attach(host, "front", `web${i + 1}`, { workload: "web" }));
    await everyPair("front");
  });

  test("a workload joins a second network live: the first one loses no packet", async () => {
    const [a, b] = instances;
    assert(a !== undefined && b !== undefined);
    const stop = pinging(a.netns, b.addresses[0] ?? "");
    await weft("network", "join", "back", "web", "--wait");
    assert.equal(await stop(), 0);
    const all = await everyPair("back");
    for (const one of all) {
      assert.match(one.addresses[0] ?? "", /^10\.2\./);
      assert.deepEqual(await interfaces(one), ["eth0", "eth1"]);
      // The way to everything is still the first network's.
      assert.match(await must("ip", "-n", one.netns, "route", "show", "default"), /192\.168\.1\.1 dev eth0/);
    }
    await everyPair("front");
  });

  test("an instance that comes later joins by itself, and kill -9 of an agent changes nothing", async () => {
    instances.push(await cluster.attach("h1", "front", "web4", { workload: "web" }));
    await until("web4 has joined", async () => (await inNetwork("back")).length === 4);
    await everyPair("back");
    const [a, , , d] = await inNetwork("back");
    assert(a !== undefined && d !== undefined);
    const before = await must("ip", "-n", a.netns, "-o", "link");
    await cluster.kill("h1");
    await cluster.startAgent("h1");
    await cluster.converged();
    assert.equal(await must("ip", "-n", a.netns, "-o", "link"), before);
    assert.deepEqual(await interfaces(d), ["eth0", "eth1"]);
    await everyPair("back");
  });

  test("a migration gives new addresses first, takes the old ones then, and tells both", async () => {
    assert.equal(await create("other"), "192.168.3.0/24");
    const old = await inNetwork("back");
    const shown = JSON.parse(await weft("network", "migrate", "back", "other", "-o", "json", "--wait"));
    const now = await everyPair("other");
    assert.deepEqual(
      shown.moves.map((move: Json) => [move.spec.state, move.spec.oldAddresses, move.spec.newAddresses]),
      old.map((each, i) => ["left", each.addresses, now[i]?.addresses]),
    );
    for (const [i, each] of now.entries()) {
      const addresses = await must("ip", "-n", each.netns, "-4", "-br", "address");
      assert.doesNotMatch(addresses, / 10\.2\./);
      assert.match(addresses, new RegExp(`eth2@\\S+ +UP +${each.addresses[0]}/24`));
      assert.deepEqual(await interfaces(each), ["eth0", "eth2"], `instance ${i}`);
    }
    assert.deepEqual(await inNetwork("back"), []);
    const members = JSON.parse(await weft("network", "members", "other", "-o", "json"));
    assert.deepEqual(
      members.map((member: Json) => [member.instance, member.by, member.state]),
      instances.map((_, i) => [`web${i + 1}`, "membership", "attached"]),
    );
    await everyPair("front");
  });

  test("the first network may be left, too: the second has the way to everything then", async () => {
    const [a] = instances;
    assert(a !== undefined);
    await weft("sg", "create", "own", "--allow", "in:icmp", "--allow", "out:all");
    await weft("endpoint", "set", a.endpoint, "--sg", "own", "--outbound", "avg=100mbit");
    await cluster.converged();
    const moved = await weft("network", "migrate", "front", "back", "--endpoint", a.endpoint, "--wait");
    assert.match(moved, /web1\.eth0 +h1 +192\.168\.1\.2 +web1\.eth3 +10\.2\.\d+\.\d+ +left/);
    assert.deepEqual(await interfaces(a), ["eth2", "eth3"]);
    assert.match(await must("ip", "-n", a.netns, "route", "show", "default"), /192\.168\.3\.1 dev eth2/);
    assert.equal(await cluster.pings(a, instances[1]?.addresses[0] ?? ""), false, "it is out of the first network");
    const { body } = await cluster.api("GET", "/v1/endpoints/web1.eth3");
    assert.deepEqual(body.spec.securityGroups, ["own"], "what was its own goes along");
    assert.deepEqual(body.spec.qos?.outbound?.average, 100_000_000);
  });

  test("who leaves has no interface there any more; what was attached by hand stays", async () => {
    await weft("network", "leave", "other", "web", "--wait");
    for (const each of instances.slice(1)) assert.deepEqual(await interfaces(each), ["eth0"]);
    assert.deepEqual(await inNetwork("other"), []);
    assert.equal((await cluster.weft("network", "leave", "other", "web")).code, 3);
    const { hosts } = await cluster.status();
    assert.deepEqual(
      hosts.map(({ status }) => [status?.errors, status?.conditions, status?.driftRepaired]),
      hosts.map(() => [[], [], 0]),
    );
  });

  test("a migration goes on where it was when the server and an agent are killed in the middle of it", async () => {
    await weft("network", "join", "back", "web", "--wait");
    // Kills come as soon as some have moved, or before: wherever they hit, the end is the same.
    const { migration } = JSON.parse(await weft("network", "migrate", "back", "other", "-o", "json"));
    await cluster.kill("h1");
    await cluster.kill("server");
    await cluster.startServer();
    await cluster.startAgent("h1");
    const moves = async (): Promise<Json[]> =>
      (await cluster.api("GET", "/v1/moves?limit=1000")).body.items.filter(
        (move: Json) => move.spec.migration === migration.name,
      );
    await until("everybody has moved", async () => {
      const all = await moves();
      return all.length === 4 && all.every((move) => move.spec.state === "left");
    });
    const now = await inNetwork("other");
    assert.deepEqual(
      now.map(({ addresses }) => addresses.join()).sort((a, b) => (a < b ? -1 : 1)),
      (await moves()).map((move) => move.spec.newAddresses.join()).sort((a, b) => (a < b ? -1 : 1)),
    );
    assert.deepEqual(
      (await inNetwork("back")).map(({ endpoint }) => endpoint.split(".")[0]),
      [],
      "nobody is in the old network any more",
    );
    await everyPair("other");
    await weft("network", "leave", "other", "web", "--wait");
  });

  test("a namespace that ends takes its joined interface along, also in the server's books", async () => {
    await weft("network", "join", "back", "web", "--wait");
    const gone = instances.pop() ?? assert.fail();
    await run("ip", "netns", "delete", gone.netns);
    // Nobody tells an agent about a workload's namespace: it looks within its period of 30 s.
    const left = async () => {
      const { items } = (await cluster.api("GET", "/v1/endpoints?limit=1000")).body;
      return items.filter((e: Json) => e.spec.owner === "web4").map((e: Json) => e.spec.network);
    };
    await until("only what was attached by hand is left of it", async () => (await left()).join() === "front", 60_000);
  });
});
