// Whether hosts notice that packets do not pass between them: real agents, and obstacles of the kinds that there are.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, run, until, type Json } from "./lab/cluster.ts";

describe("paths between hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const nft = (netns: string, script: string) => must("ip", "netns", "exec", netns, "nft", script);
  const paths = async (): Promise<Json> => (await cluster.api("GET", "/v1/status")).body.paths;
  const proven = (count: number) =>
    until(`${count} of 3 paths are proven`, async () => {
      const seen = await paths();
      return seen?.pairs === 3 && seen.proven === count && seen.unproven.length === 3 - count ? seen : undefined;
    });
  const named = (seen: Json) => seen.unproven.map((pair: Json) => `${pair.hosts.join("-")} ${pair.state}`).sort();
  const obstacles = (seen: Json) => seen.unproven.flatMap((pair: Json) => pair.obstacles).join("\n");

  before(async () => {
    await cluster.open();
    const { routed } = BOTH_DATAPATHS;
    const { status } = await cluster.api("PUT", "/v1/networks/routed", { spec: routed });
    assert.equal(status, 201);
    const waited = await cluster.weft("status", "--wait=paths");
    assert.equal(waited.code, 0, waited.stderr);
    assert.match(waited.stdout, /^converged at revision \d+ on 3 of 3 hosts, 3 of 3 paths proven$/m);
  });
  afterEach(async () => {
    await run("ip", "netns", "exec", cluster.netnsOf("h1"), "nft", "delete table ip other");
    await run("ip", "-n", cluster.wire, "link", "set", "h3", "mtu", "1500");
  });
  after(() => cluster.close());

  test("a filter that drops the tunnel port is named by its host; a dead agent breaks no path", async () => {
    const h1 = cluster.netnsOf("h1");
    await cluster.kill("h3");
    assert.deepEqual((await paths()).unproven, []);
    await nft(h1, "table ip other { chain in { type filter hook input priority 0; udp dport 4789 drop; }; }");
    // Between h2 and h3 packets pass: the kernel of h3 answers.
    const seen = await proven(1);
    assert.deepEqual(named(seen), ["h1-h2 failed", "h1-h3 failed"]);
    await until("the filter is named", async () =>
      /h1: .*table ip other.*udp dport 4789 drop/.test(obstacles(await paths())),
    );
    const status = await cluster.weft("status");
    assert.match(status.stdout, /, 1 of 3 paths proven$/m);
    assert.match(status.stdout, /^path h1 – h2: no packets pass \(/m);
    await until("the other end says it, too", async () =>
      /^h1 +no packets pass /m.test((await cluster.weft("host", "show", "h2")).stdout),
    );
    const late = await cluster.weft("status", "--wait=paths,1");
    assert.equal(late.code, 6);
    assert.match(late.stderr, /packets to pass on 2 paths.*h1 – h2/s);
    await nft(h1, "delete table ip other");
    await proven(3);
    await cluster.startAgent("h3");
    await proven(3);
  });

  test("one way only, and a smaller MTU in the middle, are not proven; both ends say what they see", async () => {
    const drop = "ip daddr 172.31.77.12 udp dport 4789 drop";
    await nft(cluster.netnsOf("h1"), `table ip other { chain out { type filter hook output priority 0; ${drop}; }; }`);
    await must("ip", "-n", cluster.wire, "link", "set", "h3", "mtu", "1400");
    const seen = await proven(0);
    assert.deepEqual(named(seen), ["h1-h2 failed", "h1-h3 small", "h2-h3 small"]);
    assert.match(obstacles(seen), /those of 200 bytes pass and those of 1450 do not/);
    await until("both tell what they see", async () => {
      const text = obstacles(await paths());
      return (
        /h1: packets from h2 to UDP 4789 arrive here/.test(text) && /h2: .*nothing from it arrives here/.test(text)
      );
    });
    await nft(cluster.netnsOf("h1"), "delete table ip other");
    await must("ip", "-n", cluster.wire, "link", "set", "h3", "mtu", "1500");
    await proven(3);
  });
});
