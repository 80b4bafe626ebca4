// What a list prints is a file that asks for what is there: applied again, of every kind alone and of all together,
// it changes nothing, whatever has been written before.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { aimed, anyLife } from "../control/anyWrite.ts";
import { Control } from "../../../src/control/control.ts";
import { Fault } from "../../../src/model/fault.ts";
import { parseApply } from "../../../src/model/parse.ts";
import type { Write } from "../../../src/control/write.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { itemsOf } from "../../../src/cli/input/resourceFile.ts";
import { printValue } from "../../../src/cli/output/format.ts";

const clock = { nowMs: () => 1_000_000, monotonicMs: () => 1_000_000, sleep: () => Promise.resolve() };
const ADMIN = { role: "admin" } as const;
const JOIN = "join-token-of-this-test-0123456789";
const KINDS = ["network", "vrf", "pool", "securitygroup"] as const;

const io = (texts: string[]) => ({
  out: (text: string) => void texts.push(text),
  err: () => {},
  color: false,
  live: false,
  columns: 80,
  stdin: () => Promise.resolve(""),
  ask: undefined,
  env: {},
  clock,
  signal: new AbortController().signal,
});

/** What applying a list of these resources would change, as the command prints and reads it. */
async function changesOf(control: Control, format: "yaml" | "json", resources: readonly unknown[]) {
  const texts: string[] = [];
  await printValue(io(texts), format, resources);
  const items = await itemsOf(texts.join(""), "list");
  const { resources: read } = parseApply({ resources: items });
  return (await control.write({ verb: "apply", items: read }, { dryRun: true })).changes;
}

async function tryAll(control: Control, writes: readonly Write[]): Promise<void> {
  for (const write of writes) {
    try {
      if (write.verb === "join") await control.join(write.claim, JOIN);
      else {
        const told = aimed(write, (await control.snapshot(ADMIN)).moves);
        if (told.verb !== "join") await control.write(told);
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
  }
}

const group = (rules: readonly object[]): Write => ({
  verb: "put",
  kind: "securitygroup",
  name: "g",
  spec: { rules } as never,
});
const GROUPS: readonly Write[] = [
  group([
    { direction: "in", action: "allow", protocol: "TCP", ports: ["22,80:90", 443, "443"], peer: { cidr: "10.1.2.3" } },
    { direction: "out", action: "deny", protocol: 47, peer: { first: "FD00::1", size: 9 }, priority: 3, log: true },
  ]),
  { verb: "commit-group", name: "g" },
  {
    verb: "put",
    kind: "pool",
    name: "p",
    spec: { ids: { first: 1, last: 9 }, globalSubnets: [{ cidr: "10.<id>.0.0/16" }] },
  },
  { verb: "put", kind: "network", name: "pooled", spec: { pool: { name: "p" }, securityGroups: ["g", "default"] } },
  {
    verb: "put",
    kind: "vrf",
    name: "kept",
    spec: { vtepSubnets: ["198.18.0.0/20", "FD01:A::/64"], vtepMacOui: "70:B3:D5" },
  },
];

test("list, then apply: no changes", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyLife({ minLength: 1, maxLength: 25 }),
      fc.constantFrom("yaml", "json"),
      async (life, format) => {
        const control = await Control.open(openMemoryStore(), { clock });
        await control.setToken("join", JOIN);
        await tryAll(control, [...GROUPS, ...life]);
        const lists = await Promise.all(KINDS.map(async (kind) => (await control.list(kind, ADMIN)).items));
        for (const list of [...lists, lists.flat(), lists.flat().reverse()]) {
          if (list.length === 0) continue;
          assert.deepEqual(await changesOf(control, format, list), [], JSON.stringify(list));
        }
        await control.close();
      },
    ),
    { numRuns: 60 },
  );
});
