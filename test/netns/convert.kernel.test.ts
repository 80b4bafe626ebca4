// Networks change how their frames cross, and in which sizes, while 1 kHz of datagrams both ways, broadcasts and a TCP
// stream pass: nothing is lost and nothing comes twice, also when the server and an agent are killed meanwhile.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
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

  for (const network of ["switched", "routed"] as const) {
    test(`${network}: another tunnel port, and back`, async () => {
      for (let run = 0; run < RUNS; run++) {
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
      }
    });
  }
});
