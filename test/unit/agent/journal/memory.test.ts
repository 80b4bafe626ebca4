// What a journal keeps in memory of endpoints that are gone. Each workload has a namespace of its own, and a host sees
// millions of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { journalEntry } from "../samples.ts";
import { memoryJournal } from "../../../../src/agent/journal/journal.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

test("namespaces and networks that come and go leave nothing behind", () => {
  const journal = memoryJournal();
  const usedAfter = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      journal.put(journalEntry("a", { netnsId: `4:${i}` }, { network: `n${i}`, addresses: [] }));
      journal.put(journalEntry("a", { netnsId: `5:${i}` }, { network: `m${i}`, addresses: [] }));
      journal.remove("a", i);
    }
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = usedAfter(0, 1_000);
  const grown = usedAfter(1_000, 31_000) - before;
  assert(grown < 1_000_000, `${grown} bytes of 30,000 workloads`);
});
