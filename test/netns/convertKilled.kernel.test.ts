// Server and agents are killed in the middle of conversions, and a host is away or a port blocked: what was begun goes
// on, waits by name for who is missing, can be taken back, and no packet is lost meanwhile.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, until } from "./lab/cluster.ts";
import { BOTH, Converting, RUNS } from "./lab/converting.ts";

const PHASES = ["narrow", "receive", "send"] as const;
/** Who is killed in each phase, in turns. */
const VICTIMS = [["server"], ["h2"], ["server", "h2"]] as const;

describe("a conversion that is disturbed", { skip: whyNoKernelTests() ?? false }, () => {
  const lab = new Converting(new Cluster(3));
  const { cluster } = lab;

  before(() => lab.open());
  afterEach(() => lab.kill());
  after(() => lab.close());

  const restarted = async (victims: readonly string[]) => {
    await Promise.all(victims.map((name) => cluster.kill(name)));
    for (const name of victims) await (name === "server" ? cluster.startServer() : cluster.startAgent(name));
  };

  test("server, agent or both are killed in each phase of two conversions at once", async () => {
    for (let run = 0; run < RUNS; run++) {
      const fields = { mtu: run % 2 === 0 ? 1400 : 1450 };
      const vni = 5000 + run;
      for (const network of BOTH) await lab.start(network, 1422);
      await lab.edit("/v1/networks/switched", { ...fields, vni });
      await lab.edit("/v1/networks/routed", fields);
      for (const [i, phase] of PHASES.entries()) {
        const isThere = async () => (await lab.conversion("switched"))?.spec.phase === phase;
        await until(`phase ${phase}`, isThere, 30_000);
        const victims = VICTIMS[(i + run) % VICTIMS.length] ?? VICTIMS[0];
        await restarted(victims);
        if (RUNS > 1) console.log(`killed ${victims.join(" and ")} in ${phase}`);
      }
      for (const network of BOTH) await lab.over(network);
      for (const network of BOTH) await lab.end(network);
      assert.match((await lab.devices("h2", "switched")).join(), new RegExp(`^wx\\d+ 4789 ${vni}$`));
      for (const network of BOTH)
        assert.match(
          await must("ip", "-n", lab.of(network)[1]?.netns ?? "", "link"),
          new RegExp(` mtu ${fields.mtu} `),
        );
    }
  });

  test("taken back when hosts already send the new way: they go back, and nothing is lost", () =>
    lab.under("switched", async () => {
      await lab.edit("/v1/vrfs/switched", { tunnelPort: 8472 });
      await until(
        "hosts send the new way",
        async () => (await lab.conversion("switched"))?.spec.phase === "send",
        30_000,
      );
      const { code, stderr } = await cluster.weft("network", "conversion", "cancel", "switched", "--wait");
      assert.deepEqual([code, /cancelled at revision \d+: hosts go back/.test(stderr)], [0, true], stderr);
      await cluster.converged();
      assert.match((await lab.devices("h1", "switched")).join(), /^wx\d+ 4789 /);
    }));

  test("a host that is away, and a port that is blocked, are named; and nothing is lost meanwhile", () =>
    lab.under("switched", async () => {
      const status = async () => (await cluster.weft("status")).stdout;
      const show = async () => (await cluster.weft("network", "show", "switched")).stdout;
      await cluster.kill("h3");
      const { vni } = await lab.spec("/v1/networks/switched");
      await lab.edit("/v1/networks/switched", { vni: 6000 });
      await until("h3 is named", async () => /phase receive, waits for .*h3 \(/.test(await status()));
      assert.match(await show(), /phase receive, waits for .*h3 \(/);
      // Until a host sends the new way there is nothing to go back from: the host that is away need not agree.
      const cancelled = await cluster.weft("network", "conversion", "cancel", "switched");
      assert.match(cancelled.stderr, /^conversion switched cancelled at revision \d+\n$/);
      assert.deepEqual([(await lab.spec("/v1/networks/switched")).vni, await lab.conversions()], [vni, []]);
      const { tunnelPort: from } = await lab.spec("/v1/vrfs/switched");
      const to = from === 4789 ? 8472 : 4789;
      await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", "add table inet other");
      await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", blocking(to));
      const edited = await cluster.weft("network", "edit", "switched", "--tunnel-port", String(to));
      assert.match(edited.stderr, new RegExp(`conversion switched: tunnelPort ${from} to ${to}; .*receive, send`));
      await cluster.startAgent("h3");
      const named = new RegExp(`waits for .*h1 \\(no packets pass to h2 by UDP ${to} yet\\)`);
      await until("the blocked port is named", async () => named.test(await status()), 30_000);
      assert.match(await show(), named);
      assert.equal((await lab.conversion("switched"))?.spec.phase, "receive");
      const second = await cluster.weft("network", "edit", "switched", "--mtu", "1300");
      assert.match(second.stderr, /conversion of VRF "switched" is in phase receive/);
      await must("ip", "netns", "exec", cluster.netnsOf("h2"), "nft", "delete table inet other");
      await lab.over("switched");
    }));
});

function blocking(port: number): string {
  return (
    "add chain inet other in { type filter hook prerouting priority -500; }; " +
    `add rule inet other in udp dport ${port} drop`
  );
}
