// `weft ipam check` on the real kernel: what is planted in namespaces and journals of a running cluster is found, a
// repair mends it, and then nothing is found.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { CheckReport } from "../../src/model/check.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import { editJournal } from "./lab/journal.ts";

describe("a check of addresses", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(name);

  before(async () => {
    await cluster.open();
    const near = {
      ipam: "local",
      subnets: [
        { cidr: "10.1.0.0/16", hostPrefix: 24 },
        { cidr: "fd01::/56", hostPrefix: 64 },
      ],
    };
    const wide = { ipam: "global", subnets: [{ cidr: "10.2.0.0/16" }] };
    for (const [name, spec] of Object.entries({ near, wide }))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
    for (const host of cluster.hosts) {
      for (const network of ["near", "wide"]) {
        for (const n of [1, 2])
          workloads.set(`${network}-${host}-${n}`, await cluster.attach(host, network, `${network}-${host}-${n}`));
      }
    }
    await cluster.converged();
  });
  after(() => cluster.close());

  async function check(...args: readonly string[]): Promise<{ readonly code: number; readonly report: CheckReport }> {
    const { code, stdout, stderr } = await cluster.weft("ipam", "check", "-o", "json", ...args);
    assert(stdout.startsWith("{"), stderr);
    return { code, report: JSON.parse(stdout) as CheckReport };
  }
  const rulesOf = ({ findings }: CheckReport) =>
    findings.map(({ rule, host, endpoint }) => `${rule} ${host} ${endpoint}`);
  const assertClean = async () => {
    const { code, report } = await check();
    assert.deepEqual([code, report.findings, report.unchecked, report.checked], [0, [], [], ["h1", "h2"]]);
  };
  /** What a journal says, changed while its agent is dead. */
  async function edit(host: string, endpoint: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    await cluster.kill(host);
    editJournal(cluster, host, (record) => {
      if (record.put?.endpoint.name !== endpoint) return record;
      const { endpoint: before } = record.put;
      return { put: { ...record.put, endpoint: { ...before, spec: { ...before.spec, ...change } } } };
    });
    await cluster.startAgent(host);
  }

  test("nothing is wrong with a cluster that nobody harmed", assertClean);

  test("a namespace that was deleted leaves a lease behind; a repair frees it", async () => {
    await must("ip", "netns", "delete", of("near-h1-1").netns);
    const before = await until("the kernel has taken the namespace down", async () => {
      const seen = await check();
      return seen.report.findings[0]?.evidence.some(({ says }) => says === "has no port") === true ? seen : undefined;
    });
    assert.deepEqual([before.code, rulesOf(before.report)], [11, ["workload-gone h1 near-h1-1.eth0"]]);
    assert.deepEqual(before.report.findings[0]?.addresses, of("near-h1-1").addresses);
    const { code, report } = await check("--repair");
    assert.deepEqual([code, report.left, report.findings[0]?.repair?.done], [0, 0, true], JSON.stringify(report));
    await assertClean();
    const { body } = await cluster.api("GET", "/v1/endpoints/near-h1-1.eth0");
    assert.equal(body.reason, "endpoint-unknown");
  });

  test("an address taken off a workload's interface, and a foreign one put there, are set right", async () => {
    const { netns, addresses, mac } = of("wide-h1-1");
    const [address = ""] = addresses;
    const rules = ["kernel-differs h1 near-h1-2.eth0", "kernel-differs h1 wide-h1-1.eth0"];
    // The agent's next round would set it right by itself: again, until a check comes first.
    const before = await until("a check before the agent's own round", async () => {
      await run("ip", "-n", netns, "address", "del", `${address}/16`, "dev", "eth0");
      await run("ip", "-n", of("near-h1-2").netns, "address", "add", "10.1.77.7/24", "dev", "eth0");
      const seen = await check();
      return rulesOf(seen.report).join() === rules.join() ? seen : undefined;
    });
    assert.equal(before.code, 11);
    assert.match(JSON.stringify(before.report), /no address, MAC .* on eth0 behind port wp/);
    assert.match(JSON.stringify(before.report), /10\.1\.77\.7/);
    const { code, report } = await check("--repair");
    assert.deepEqual([code, report.left], [0, 0], JSON.stringify(report));
    await assertClean();
    const shown = await must("ip", "-n", netns, "address", "show", "dev", "eth0");
    assert(shown.includes(`inet ${address}/16`) && shown.includes(mac), shown);
    assert(await cluster.reaches(of("wide-h2-1"), address));
  });

  test("two journal entries with one address: only with --evict is the later one detached", async () => {
    const near = await cluster.attach("h1", "near", "near-h1-3");
    await cluster.converged();
    await edit("h1", "near-h1-3.eth0", { addresses: of("near-h1-2").addresses });
    const before = await until("the agent is back", async () => {
      const seen = await check();
      return seen.report.unchecked.length === 0 && seen.report.findings.length > 1 ? seen : undefined;
    });
    const doubled = before.report.findings.filter(({ kind }) => kind === "doubled");
    assert.deepEqual(
      doubled.map(({ endpoint }) => endpoint),
      ["near-h1-3.eth0", "near-h1-3.eth0"],
    );
    assert.deepEqual(doubled.flatMap((one) => one.addresses).toSorted(), of("near-h1-2").addresses.toSorted());
    assert.equal((await check("--repair")).code, 11);
    const { code, report } = await check("--repair", "--evict");
    assert.deepEqual([code, report.left], [0, 0], JSON.stringify(report));
    await assertClean();
    assert.equal((await must("ip", "-n", near.netns, "-o", "link")).includes("eth0"), false);
    assert(await cluster.reaches(of("near-h2-1"), of("near-h1-2").addresses[0] ?? ""));
  });

  test("a journal with another MAC than the server's: in a global network the server's counts", async () => {
    await edit("h2", "wide-h2-2.eth0", { mac: "02:aa:00:00:00:01" });
    const before = await until("the agent is back", async () => {
      const seen = await check("--host", "h2");
      return seen.report.unchecked.length === 0 && seen.report.findings.length > 0 ? seen : undefined;
    });
    assert.deepEqual(rulesOf(before.report), ["lease-differs h2 wide-h2-2.eth0"]);
    assert.equal((await check("--repair")).code, 0);
    await assertClean();
    assert((await must("ip", "-n", of("wide-h2-2").netns, "link", "show", "eth0")).includes(of("wide-h2-2").mac));
    assert(await cluster.reaches(of("wide-h1-1"), of("wide-h2-2").addresses[0] ?? ""));
  });

  test("a host whose agent is dead is named; its orphan goes when the agent is back", async () => {
    await cluster.kill("h2");
    const vrf = cluster.vrfNetns("h2", "near");
    const ghost = await cluster.addWorkloadNetns("ghost");
    await must("ip", "-n", vrf, "link", "add", "wpghost", "type", "veth", "peer", "name", "eth0", "netns", ghost);
    await must("ip", "-n", vrf, "link", "set", "wpghost", "alias", "weft:endpoint:ghost.eth0", "up");
    await must("ip", "-n", ghost, "address", "add", "10.1.1.77/24", "dev", "eth0");
    const away = await check();
    assert.deepEqual(
      [away.code, away.report.checked, away.report.unchecked.map(({ host }) => host)],
      [12, ["h1"], ["h2"]],
    );
    const { stdout, stderr } = await cluster.weft("ipam", "check");
    assert.equal(stdout, "");
    assert.match(stderr, /not checked: host h2: away/);
    await cluster.startAgent("h2");
    await until(
      "the agent has removed what nobody knows",
      async () => !(await must("ip", "-n", vrf, "-o", "link")).includes("wpghost"),
    );
    await until("h2 follows the server", async () => (await check()).code === 0);
    await assertClean();
  });
});
