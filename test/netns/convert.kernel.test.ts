// Networks change how their frames cross, and in which sizes, while 1 kHz of datagrams both ways, broadcasts and a TCP
// stream pass: nothing is lost and nothing comes twice, also when the server and an agent are killed meanwhile.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, type Json, must, until, type Workload } from "./lab/cluster.ts";
import { Traffic } from "./lab/traffic.ts";

/** How often each conversion is made. */
const RUNS = Number(process.env["WEFT_CONVERT_RUNS"] ?? 1);

describe("a live conversion", { skip: whyNoKernelTests() ?? false, timeout: 600_000 }, () => {
  const cluster = new Cluster(3);
  const workloads = new Map<string, Workload[]>();
  let traffic: Traffic;
  const of = (network: string) => workloads.get(network) ?? assert.fail();

  before(async () => {
    await cluster.open();
    traffic = await Traffic.of(cluster);
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS)) {
      const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
      assert.equal(status, 201, JSON.stringify(body));
    }
    await cluster.converged();
    for (const network of Object.keys(BOTH_DATAPATHS)) {
      const own: Workload[] = [];
      for (const host of cluster.hosts) own.push(await cluster.attach(host, network, `${network}-${host}`));
      workloads.set(network, own);
      for (const a of own) for (const b of own) for (const to of b.addresses) await cluster.reaches(a, to);
    }
  });
  afterEach(() => traffic.kill());
  after(() => cluster.close());

  const conversions = async (): Promise<Json[]> => (await cluster.api("GET", "/v1/conversions")).body.items;

  /** Changes a resource as a person would, and waits until the conversion is over and all hosts are there. */
  const change = async (path: string, fields: object, during: () => Promise<void> = async () => {}) => {
    const { spec, revision } = (await cluster.api("GET", path)).body;
    const { status, body } = await cluster.api("PUT", path, { spec: { ...spec, ...fields } });
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(body.revision > revision);
    assert.equal((await conversions()).length, 1);
    await during();
    await until("the conversion is over", async () => (await conversions()).length === 0, 60_000).catch(
      async (error: unknown) => assert.fail(`${String(error)}: ${JSON.stringify(await cluster.status())}`),
    );
    await cluster.converged();
  };

  const start = async (network: string, size?: number) => {
    const [a, b, c] = of(network) as [Workload, Workload, Workload];
    await traffic.ask(a, b, size);
    await traffic.ask(c, a, size);
    await traffic.give(a, c);
    if (network === "switched") await traffic.shout(b, "10.7.255.255", [a, c]);
    await setTimeout(300);
  };

  /** Fails unless something has passed. */
  const end = async () => {
    await setTimeout(300);
    const told = await traffic.end();
    for (const [what, text] of told) assert.match(text, what.includes("echo") ? /^$/ : /[1-9]\d{2}/, what);
    if (RUNS > 1) console.log([...told].map(([what, text]) => `${what}: ${text}`).join("\n"));
  };

  const devices = async (host: string, vrf: string) =>
    (await must("ip", "-n", cluster.vrfNetns(host, vrf), "-d", "-o", "link", "show", "type", "vxlan"))
      .split("\n")
      .flatMap((line) => /: ([^:@ ]+)\S* .* dstport (\d+)/.exec(line)?.slice(1, 3).join(" ") ?? []);

  const repeated = async (once: () => Promise<void>) => {
    for (let run = 0; run < RUNS; run++) await once();
  };

  for (const network of ["switched", "routed"] as const) {
    test(`${network}: another tunnel port, and back`, () =>
      repeated(async () => {
        for (const port of [8472, 4789]) {
          await start(network);
          await change(`/v1/vrfs/${network}`, { tunnelPort: port });
          await end();
          for (const host of cluster.hosts)
            assert.match(
              (await devices(host, network)).join(),
              new RegExp(`^wx\\d+${port === 8472 ? "b" : ""} ${port}$`),
            );
        }
      }));

    test(`${network}: a smaller MTU and a larger one, under packets as large as they may be`, () =>
      repeated(async () => {
        for (const mtu of [1400, 1450]) {
          // With the headers of IPv4, 1450 bytes: packets that become too large are sent in pieces.
          await start(network, 1422);
          await change(`/v1/networks/${network}`, { mtu });
          await end();
          for (const { netns } of of(network)) {
            assert.match(await must("ip", "-n", netns, "link", "show", "eth0"), new RegExp(` mtu ${mtu} `));
            assert.doesNotMatch(await must("ip", "-n", netns, "route", "show"), / mtu /);
          }
        }
      }));

    test(`${network}: another VNI, and back, with the server and an agent killed in the middle`, () =>
      repeated(async () => {
        const path = network === "switched" ? "/v1/networks/switched" : "/v1/vrfs/routed";
        const { vni } = (await cluster.api("GET", path)).body.spec;
        for (const next of [5000, vni]) {
          await start(network);
          await change(path, { vni: next }, async () => {
            await Promise.all([cluster.kill("server"), cluster.kill("h2")]);
            await cluster.startServer();
            await cluster.startAgent("h2");
          });
          await end();
          const seen = await must("ip", "-n", cluster.vrfNetns("h2", network), "-d", "link", "show", "type", "vxlan");
          assert.deepEqual(
            [...seen.matchAll(/ vxlan id (\d+) /g)].map((found) => Number(found[1])),
            [next],
          );
        }
      }));
  }

  test("switched: multicast peers, and unicast again: one device, changed in place", () =>
    repeated(async () => {
      for (const peers of ["multicast", "unicast"]) {
        await start("switched");
        await change("/v1/networks/switched", { peers, group: undefined });
        await end();
        const seen = await must("ip", "-n", cluster.vrfNetns("h2", "switched"), "-d", "link", "show", "type", "vxlan");
        assert.equal(/ group 239\./.test(seen), peers === "multicast", seen);
        const groups = await must("ip", "-n", cluster.netnsOf("h2"), "maddress", "show", "dev", "eth0");
        assert.equal(/inet +239\./.test(groups), peers === "multicast", groups);
      }
    }));

  test("taken back when hosts already send the new way: they go back, and nothing is lost", async () => {
    await start("switched");
    const { spec } = (await cluster.api("GET", "/v1/vrfs/switched")).body;
    await cluster.api("PUT", "/v1/vrfs/switched", { spec: { ...spec, tunnelPort: 8472 } });
    await until("hosts send the new way", async () => (await conversions())[0]?.spec.phase === "send", 30_000);
    const { code, stderr } = await cluster.weft("network", "conversion", "cancel", "switched", "--wait");
    assert.deepEqual([code, /cancelled at revision \d+: hosts go back/.test(stderr)], [0, true], stderr);
    await cluster.converged();
    await end();
    assert.match((await devices("h1", "switched")).join(), /^wx\d+ 4789$/);
  });

  test("a host that is away, and a port that is blocked, are named; and nothing is lost meanwhile", async () => {
    await start("switched");
    await cluster.kill("h3");
    await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", "add table inet other");
    await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", BLOCKED);
    const edited = await cluster.weft("network", "edit", "switched", "--tunnel-port", "8472");
    assert.match(edited.stderr, /conversion switched: tunnelPort 4789 to 8472; .*receive, send/);
    const status = async () => (await cluster.weft("status")).stdout;
    await until("h3 is named", async () => /converting: .*phase receive, waits for .*h3 \(/.test(await status()));
    await cluster.startAgent("h3");
    const named = /waits for .*h1 \(no packets pass to h2 by UDP 8472 yet\)/;
    await until("the blocked port is named", async () => named.test(await status()), 30_000);
    assert.match((await cluster.weft("network", "show", "switched")).stdout, named);
    assert.equal((await conversions())[0]?.spec.phase, "receive");
    const second = await cluster.weft("network", "edit", "switched", "--mtu", "1400");
    assert.match(second.stderr, /conversion of VRF "switched" is in phase receive/);
    await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", "delete table inet other");
    await until("the conversion is over", async () => (await conversions()).length === 0, 60_000);
    await cluster.converged();
    await end();
  });
});

const BLOCKED =
  "add chain inet other in { type filter hook prerouting priority -500; }; " +
  "add rule inet other in udp dport 8472 drop";
