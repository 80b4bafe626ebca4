// Leases on the real kernel: many at once, an agent or a server killed in the middle of them, and another boot.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, must, until, type Answer, type Json } from "./lab/cluster.ts";
import { ofAnotherBoot } from "./lab/journal.ts";

const AT_ONCE = 24;

describe("local leases", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  /** Owner to address, of every attach that was answered. */
  const answered = new Map<string, string>();
  const attach = (owner: string, netns: string): Promise<Answer> =>
    call(cluster.agentSocket("h1"), "POST", "/v1/attachments", { network: "n", netns: `/run/netns/${netns}`, owner });
  const workloads = (prefix: string, count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const owner = `${prefix}${i}`;
        return { owner, netns: await cluster.addWorkloadNetns(owner) };
      }),
    );
  const note = (owner: string, { status, body }: Answer) => {
    assert.equal(status, 201, JSON.stringify(body));
    answered.set(owner, body.spec.addresses[0]);
  };
  const assertDistinct = () => assert.equal(new Set(answered.values()).size, answered.size, [...answered].join(" "));
  const listed = async (): Promise<Map<string, string>> => {
    const { body } = await call(cluster.agentSocket("h1"), "GET", "/v1/attachments");
    return new Map(body.items.map((item: Json) => [item.spec.owner, item.spec.addresses[0]]));
  };

  before(async () => {
    await cluster.open();
    const spec = { subnets: [{ cidr: "10.40.0.0/24", hostPrefix: 25 }], quarantine: 0 };
    assert.equal((await cluster.api("PUT", "/v1/networks/n", { spec })).status, 201);
    await cluster.converged();
  });
  after(() => cluster.close());

  test(`${AT_ONCE} attaches at once have ${AT_ONCE} addresses, in the kernel too`, async () => {
    const all = await workloads("a", AT_ONCE);
    const answers = await Promise.all(all.map(({ owner, netns }) => attach(owner, netns)));
    for (const [i, { owner }] of all.entries()) note(owner, answers[i] ?? assert.fail());
    assert.equal(answered.size, AT_ONCE);
    assertDistinct();
    for (const { owner, netns } of all)
      assert.match(await must("ip", "-n", netns, "-br", "-4", "address", "show", "eth0"), addressOf(answered, owner));
  });

  test("the same attach many times at once is one lease", async () => {
    const [one = assert.fail()] = await workloads("same", 1);
    const answers = await Promise.all(Array.from({ length: 8 }, () => attach(one.owner, one.netns)));
    const given = answers.filter(({ status }) => status === 201);
    assert(given.length >= 1);
    assert.equal(new Set(given.map(({ body }) => body.spec.addresses[0])).size, 1);
    for (const { status, body } of answers) if (status !== 201) assert.equal(body.reason, "in-use");
    note(one.owner, given[0] ?? assert.fail());
    assertDistinct();
  });

  test("kill -9 in the middle: what was answered is kept, the rest can be asked again, nothing twice", async () => {
    for (let round = 0; round < 3; round++) {
      const all = await workloads(`k${round}-`, 10);
      let isAnswered = () => {};
      const first = new Promise<void>((resolve) => (isAnswered = resolve));
      const asked = all.map(async ({ owner, netns }) => {
        const answer = await attach(owner, netns).catch(() => undefined);
        if (answer !== undefined) note(owner, answer);
        isAnswered();
      });
      await first;
      await cluster.kill("h1");
      await Promise.all(asked);
      await cluster.startAgent("h1");
      await cluster.converged();
      // The server may still speak of the agent that was killed.
      const ready = async () => (await call(cluster.agentSocket("h1"), "GET", "/readyz")).status === 200;
      await until("the new agent has made a round", ready);
      const kept = await listed();
      for (const [owner, address] of answered) assert.equal(kept.get(owner), address, `${owner}, round ${round}`);
      await until("all are attached", async () => {
        for (const { owner, netns } of all) {
          const answer = answered.has(owner) ? undefined : await attach(owner, netns);
          // What the killed agent had begun may still be on its way.
          if (answer?.status === 409 && answer.body.reason === "in-use") return false;
          if (answer !== undefined) note(owner, answer);
        }
        return true;
      });
      assertDistinct();
      for (const { owner, netns } of all)
        assert.match(await must("ip", "-n", netns, "-br", "-4", "address", "show", "eth0"), addressOf(answered, owner));
    }
  });

  test("leases of another boot are released, here and at the server", async () => {
    await cluster.converged();
    await cluster.kill("h1");
    ofAnotherBoot(cluster, "h1");
    await cluster.startAgent("h1");
    await until("all leases are released", async () => {
      const { body } = await cluster.api("GET", "/v1/endpoints");
      return (await listed()).size === 0 && body.items.length === 0;
    });
    const [next = assert.fail()] = await workloads("next", 1);
    const { status, body } = await attach(next.owner, next.netns);
    assert.deepEqual([status, body.spec?.addresses], [201, ["10.40.0.2"]], "the lowest is free again");
  });
});

describe("leases that the server grants", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const socket = () => cluster.agentSocket("h1");
  const workloads = new Map<string, string>();
  before(async () => {
    await cluster.open();
    const spec = { ipam: "global", subnets: [{ cidr: "10.41.0.0/24" }] };
    assert.equal((await cluster.api("PUT", "/v1/networks/g", { spec })).status, 201);
    await cluster.converged();
  });
  after(() => cluster.close());

  test("kill -9 of the server in the middle: who was told has it, who was not has nothing", async () => {
    for (let n = 0; n < 12; n++) workloads.set(`g${n}`, await cluster.addWorkloadNetns(`g${n}`));
    for (let round = 0; round < 5; round++) {
      const told = new Map<string, string>();
      const asked = [...workloads].map(async ([owner, netns]) => {
        const asking = { network: "g", netns: `/run/netns/${netns}`, owner };
        const { status, body } = await call(socket(), "POST", "/v1/attachments", asking);
        if (status === 201) told.set(owner, body.spec.addresses[0]);
      });
      // Another moment in each round: from before the first is decided until most are answered.
      await sleep(8 + 4 * round);
      await cluster.kill("server");
      await Promise.all(asked);
      await cluster.startServer();
      await cluster.converged();
      const known = async () =>
        new Map<string, string>(
          (await cluster.api("GET", "/v1/endpoints")).body.items.map((e: Json) => [e.spec.owner, e.spec.addresses[0]]),
        );
      for (const [name, address] of told) assert.equal((await known()).get(name), address, `${name}, round ${round}`);
      await until("nothing is left of the others", async () => (await known()).size === told.size);
      for (const [name, netns] of workloads) {
        const links = await must("ip", "-n", netns, "-br", "-4", "address");
        assert.equal(/eth0.* (\S+)\/24/.exec(links)?.[1], told.get(name), `${name}, round ${round}: ${links}`);
      }
      for (const name of told.keys()) await call(socket(), "DELETE", `/v1/attachments/${name}.eth0`);
      await until("all are detached", async () => (await known()).size === 0);
    }
  });
});

function addressOf(answered: ReadonlyMap<string, string>, owner: string): RegExp {
  return new RegExp(` ${answered.get(owner)?.replaceAll(".", "\\.")}/25`);
}
