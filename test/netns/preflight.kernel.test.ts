// What `weft host preflight` says of obstacles of every kind, on real agents, before and after there is a network.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, run, type Json } from "./lab/cluster.ts";

describe("a preflight", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const block = (host: string, hook: string, what: string) => {
    const chain = `chain one { type filter hook ${hook} priority 0; ${what} drop; }`;
    return must("ip", "netns", "exec", cluster.netnsOf(host), "nft", `table ip other { ${chain}; }`);
  };
  const preflight = async (...more: readonly string[]): Promise<{ code: number; report: Json; text: string }> => {
    const { code, stdout, stderr } = await cluster.weft("host", "preflight", "-o", "json", ...more);
    assert.ok(code === 0 || code === 1, stderr);
    return { code, report: JSON.parse(stdout), text: stderr };
  };
  /** `h1>h2 blocked 0` of those that do not pass. */
  const bad = ({ ways }: Json): readonly string[] =>
    ways
      .filter(({ state }: Json) => state !== "passes")
      .map(({ from, to, state, size }: Json) => `${from}>${to} ${state} ${size}`);

  before(() => cluster.open());
  afterEach(async () => {
    for (const host of cluster.hosts)
      await run("ip", "netns", "exec", cluster.netnsOf(host), "nft", "delete table ip other");
    await run("ip", "-n", cluster.wire, "link", "set", "h2", "mtu", "1500");
  });
  after(() => cluster.close());

  test("without any network whole packets pass between all hosts", async () => {
    const { code, report, text } = await preflight();
    assert.deepEqual([code, bad(report), report.problems], [0, [], []]);
    assert.equal(report.ways.length, 6);
    assert.deepEqual([...new Set(report.ways.map(({ size }: Json) => size))], [1500]);
    assert.match(text, /whole packets pass on 6 of 6 ways between 3 hosts/);
  });

  test("a filter on the tunnel port is told from a host that nothing reaches", async () => {
    await block("h1", "input", "udp dport 4789");
    await block("h3", "input", "ip saddr 172.31.77.12");
    const { code, report } = await preflight();
    assert.equal(code, 1);
    assert.deepEqual(bad(report).toSorted(), [
      // What h1 sends arrives, and the answers are dropped.
      "h1>h2 one-way 0",
      "h1>h3 one-way 0",
      "h2>h1 blocked 0",
      "h2>h3 dead 0",
      // The request of h3 arrives at h2, whose answer h3 drops.
      "h3>h1 blocked 0",
      "h3>h2 one-way 0",
    ]);
    const text = report.problems.join("\n");
    assert.match(text, /^h2 → h1: a ping passes and UDP 4789 does not; open UDP 4789 from 172\.31\.77\.12 to/m);
    assert.match(text, /^h2 → h3: neither UDP 4789 nor a ping passes/m);
    assert.match(text, /^host h1 filters: .*udp dport 4789 drop/m);
  });

  test("a smaller MTU in the middle is measured to the byte", async () => {
    await must("ip", "-n", cluster.wire, "link", "set", "h2", "mtu", "1387");
    const { code, report } = await preflight();
    assert.equal(code, 1);
    // A veth takes four bytes more than its MTU: room for a tag (__dev_forward_skb).
    const expected = ["h1>h2 small 1387", "h2>h1 small 1391", "h2>h3 small 1391", "h3>h2 small 1387"];
    assert.deepEqual(bad(report).toSorted(), expected);
    assert.match(report.problems.join("\n"), /give networks an MTU of 1337 or less/);
  });

  test("hosts that share no network may try each other's tunnel port, and send nothing else there", async () => {
    const { global } = BOTH_DATAPATHS as Json;
    const spec = global ?? { subnets: [{ cidr: "10.7.0.0/16" }] };
    const put = await cluster.api("PUT", "/v1/networks/alone", { spec });
    assert.equal(put.status, 201, JSON.stringify(put.body));
    await cluster.attach("h1", "alone", "one");
    await cluster.attach("h2", "alone", "two");
    await cluster.converged();
    const { code, report } = await preflight();
    assert.deepEqual([code, bad(report)], [0, []]);
    const only = await preflight("--network", "alone");
    assert.deepEqual([only.code, only.report.hosts], [0, ["h1", "h2"]]);
    const table = await must("ip", "netns", "exec", cluster.netnsOf("h1"), "nft", "list", "table", "inet", "weft");
    assert.match(table, /udp dport 4789 @th,96,24 (0xffffff|16777215) ip saddr 172\.31\.77\.13/);
    assert.doesNotMatch(table, /udp dport 4789 ip saddr [^\n]*172\.31\.77\.13/);
  });

  test("a host whose agent is away is named, and not waited for", async () => {
    await cluster.kill("h3");
    const { code, report } = await preflight();
    assert.equal(code, 1);
    assert.deepEqual(bad(report).toSorted(), [
      "h1>h3 untried 0",
      "h2>h3 untried 0",
      "h3>h1 untried 0",
      "h3>h2 untried 0",
    ]);
    assert.deepEqual(report.problems, ["host h3 could not try: away: its agent does not follow the server"]);
    await cluster.startAgent("h3");
    await cluster.converged();
  });

  test("what cannot be meant is refused", async () => {
    const made = await cluster.weft("network", "create", "plain", "--driver", "bridge", "--subnet", "10.9.0.0/24");
    assert.equal(made.code, 0, made.stderr);
    const plain = await cluster.weft("host", "preflight", "--network", "plain", "--host", "h1", "--host", "h2");
    assert.match(plain.stderr, /network "plain" has no tunnels to try/);
    const unknown = await cluster.weft("host", "preflight", "--network", "none");
    assert.match(unknown.stderr, /network "none"/);
    const one = await cluster.weft("host", "preflight", "--host", "h1");
    assert.match(one.stderr, /a preflight needs two hosts/);
    const host = await cluster.weft("host", "preflight", "--host", "h1", "--host", "h9");
    assert.match(host.stderr, /host "h9"/);
  });
});
