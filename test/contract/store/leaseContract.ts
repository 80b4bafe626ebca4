// What every store promises about the lease log, as tests beside contract.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type OpenStore, entry, host, refusal } from "./contract.ts";
import type { LeaseEvent } from "../../../src/store/leases.ts";
import type { Commit, Store } from "../../../src/store/store.ts";

/** A lease that begins, of an endpoint by this name; or one that ends. */
export function leasing(network: string, address: string, atMs: number, owner?: string): LeaseEvent {
  if (owner === undefined) return { network, address, atMs };
  const begins = {
    endpoint: `${owner}.eth0`,
    owner,
    ifname: "eth0",
    host: "h1",
    mac: "02:00:0a:00:00:01",
    ...uidsOf(network, owner),
  };
  return { network, address, atMs, begins };
}

const uidsOf = (network: string, owner: string) => ({ networkUid: `of ${network}`, endpointUid: `of ${owner}` });

async function told(store: Store, ...leases: LeaseEvent[]): Promise<unknown> {
  return store.commit([{ changes: [{ put: host("h1") }], preconditions: [], audit: entry(), leases }]);
}

type More = {
  readonly network?: string;
  readonly sinceMs?: number;
  readonly beforeMs?: number;
  readonly limit?: number;
  readonly uids?: readonly string[];
};
async function who(store: Store, address: string, more: More = {}): Promise<string[]> {
  return (await store.leases({ address, limit: 100, ...more })).map(
    ({ network, owner, fromMs, untilMs }) => `${owner} in ${network} ${fromMs}-${untilMs ?? ""}`,
  );
}

/** Leases that began and ended in the same millisecond, one each from `atMs` on. */
function ended(atMs: number, count: number, address = "10.0.0.1"): LeaseEvent[] {
  const times = Array.from({ length: count }, (_, n) => atMs + n);
  return times.flatMap((at) => [leasing("blue", address, at, `w${at}`), leasing("blue", address, at)]);
}

/** What every store promises about the lease log. */
export function leaseContract(name: string, open: OpenStore): void {
  describe(`${name}: leases`, () => {
    answerContract(open);
    boundContract(open);
    countContract(open);
  });
}

function answerContract(open: OpenStore): void {
  test("who had an address: now, then, in each network", async () => {
    const store = open();
    assert.deepEqual(await who(store, "10.0.0.1"), []);
    await told(store, leasing("blue", "10.0.0.1", 10, "a"), leasing("red", "10.0.0.1", 12, "x"));
    await told(store, leasing("blue", "10.0.0.1", 20));
    await told(store, leasing("blue", "10.0.0.1", 30, "b"));
    assert.deepEqual(await who(store, "10.0.0.1"), ["b in blue 30-", "x in red 12-", "a in blue 10-20"]);
    assert.deepEqual(await who(store, "10.0.0.1", { network: "blue", limit: 1 }), ["b in blue 30-"]);
    assert.deepEqual(await who(store, "10.0.0.1", { uids: ["of red", "of a"] }), ["x in red 12-", "a in blue 10-20"]);
    assert.deepEqual(await who(store, "10.0.0.1", { uids: [] }), []);
    const [record] = await store.leases({ address: "10.0.0.1", limit: 1 });
    assert.deepEqual(
      Object.keys(record ?? {}).filter((field) => field.endsWith("Uid")),
      [],
    );
    for (const [atMs, expected] of [
      [9, []],
      [10, ["a in blue 10-20"]],
      [19, ["a in blue 10-20"]],
      [20, []],
      [29, []],
      [99, ["b in blue 30-"]],
    ] as const)
      assert.deepEqual(
        await who(store, "10.0.0.1", { network: "blue", sinceMs: atMs, beforeMs: atMs + 1 }),
        expected,
        String(atMs),
      );
    const during = (sinceMs: number, beforeMs: number) =>
      who(store, "10.0.0.1", { network: "blue", sinceMs, beforeMs });
    assert.deepEqual(await during(0, 10), []);
    assert.deepEqual(await during(20, 30), []);
    assert.deepEqual(await during(19, 31), ["b in blue 30-", "a in blue 10-20"]);
    const [first] = await store.leases({ address: "10.0.0.1", network: "red", limit: 9 });
    const { networkUid: _, endpointUid: __, ...begins } = leasing("red", "10.0.0.1", 12, "x").begins ?? assert.fail();
    assert.deepEqual(first, {
      ...begins,
      network: "red",
      address: "10.0.0.1",
      fromMs: 12,
    });
    await store.close();
  });

  test("an end without a beginning is nothing, and a clock that was set back ends the right one", async () => {
    const store = open();
    await told(store, leasing("blue", "10.0.0.1", 5));
    await told(store, leasing("blue", "10.0.0.1", 100, "a"), leasing("blue", "10.0.0.1", 110));
    await told(store, leasing("blue", "10.0.0.1", 50, "b"), leasing("blue", "10.0.0.1", 60));
    assert.deepEqual(await who(store, "10.0.0.1"), ["b in blue 50-60", "a in blue 100-110"]);
    await store.close();
  });
}

function boundContract(open: OpenStore): void {
  test("a commit that fails leaves nothing in the log", async () => {
    const store = open();
    const wrong: Commit = {
      changes: [{ put: host("h1") }],
      preconditions: [{ key: "host/h1", revision: 9 }],
      audit: entry(),
      leases: [leasing("blue", "10.0.0.1", 1, "a")],
    };
    await assert.rejects(store.commit([wrong]), refusal("revision-stale"));
    assert.deepEqual(await who(store, "10.0.0.1"), []);
    await store.close();
  });
}

function countContract(open: OpenStore): void {
  test("the bounds are exact when a batch of ends is full", async () => {
    const [few, young] = [
      open({ leases: { records: 100, ageMs: 1e9 } }),
      open({ leases: { records: 1e6, ageMs: 100 } }),
    ];
    for (const [store, oldest, count] of [
      [few, 156, 100],
      [young, 155, 101],
    ] as const) {
      await told(store, leasing("blue", "10.9.9.9", 0, "lasting"));
      await told(store, ...ended(0, 256));
      const kept = await store.leases({ address: "10.0.0.1", limit: 1000 });
      assert.deepEqual([kept.length, kept.at(-1)?.fromMs, kept[0]?.fromMs], [count, oldest, 255]);
      assert.deepEqual(await who(store, "10.9.9.9"), ["lasting in blue 0-"]);
      // What ended long ago goes with the next batch, whatever its address.
      await told(store, ...ended(1_000, 256, "10.0.0.2"));
      assert.equal((await who(store, "10.0.0.1", { limit: 1000 })).length, 0);
      assert.equal((await store.leases({ address: "10.0.0.2", limit: 1000 })).length, count);
      await store.close();
    }
  });

  test("what was counted in a commit that failed did not happen", async () => {
    const store = open({ leases: { records: 10, ageMs: 1e9 } });
    const lie = { key: "host/h1", revision: 99 } as const;
    const failing = async (count: number) => {
      const commits = [
        { changes: [{ put: host("h1") }], preconditions: [], audit: entry(), leases: ended(0, count) },
        { changes: [{ put: host("h1") }], preconditions: [lie], audit: entry() },
      ];
      await assert.rejects(store.commit(commits), refusal("revision-stale"));
    };
    const kept = async () => (await store.leases({ address: "10.0.0.1", limit: 1000 })).length;
    await told(store, ...ended(1, 5));
    await failing(300);
    assert.equal(await kept(), 5);
    await told(store, ...ended(10, 256));
    assert.equal(await kept(), 10);
    await failing(200);
    assert.equal(await kept(), 10);
    await told(store, leasing("blue", "10.0.0.1", 999, "last"));
    assert.deepEqual((await who(store, "10.0.0.1"))[0], "last in blue 999-");
    await store.close();
  });

  test("what has ended goes by number and by age; what lasts stays", async () => {
    const [few, young] = [
      open({ leases: { records: 10, ageMs: 1e9 } }),
      open({ leases: { records: 1e6, ageMs: 500 } }),
    ];
    for (const store of [few, young]) {
      await told(store, leasing("blue", "10.9.9.9", 0, "lasting"));
      for (let at = 0; at < 1000; at += 100) {
        const hundred = Array.from({ length: 100 }, (_, n) => at + n);
        await told(
          store,
          ...hundred.flatMap((t) => [leasing("blue", "10.0.0.1", t, `w${t}`), leasing("blue", "10.0.0.1", t)]),
        );
      }
      assert.deepEqual(await who(store, "10.9.9.9"), ["lasting in blue 0-"]);
      const kept = await who(store, "10.0.0.1", { limit: 2000 });
      assert.deepEqual(kept.slice(0, 2), ["w999 in blue 999-999", "w998 in blue 998-998"]);
      assert.ok(kept.length < 1000 - 200, `${kept.length} are kept`);
      assert.ok(kept.length >= 10);
      await store.close();
    }
  });
}
