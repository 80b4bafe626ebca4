// Scenarios: a snapshot and changes on top, the kernel state and the plans they must give as `ip`, `bridge` and `nft`
// lines. Each file of test/scenarios is one story. Run with UPDATE_GOLDENS=1 to write what the code says now; review
// the diff.
//
// Orders: every list of the snapshot forwards, reversed and rotated; the same writes one by one or all at once. All
// must end in the same state (law 3).
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { compile } from "../src/datapath/compile.ts";
import { diff } from "../src/datapath/state/diff.ts";
import { endpointsHit } from "../src/datapath/state/impact.ts";
import { PATHS_NS } from "../src/datapath/network/paths.ts";
import { printOps } from "../src/datapath/state/print.ts";
import type { KernelObject } from "../src/datapath/kinds.ts";
import { type KernelState, keyOf } from "../src/datapath/state/state.ts";
import { type Resource, type Snapshot, keyOfResource, snapshotOf } from "../src/model/resource.ts";
import { printState } from "./unit/datapath/state/printState.ts";

const folder = join(import.meta.dirname, "scenarios");
type Section = { readonly name: string; readonly text: string };
type Edit = { readonly put?: Resource; readonly remove?: string };

for (const file of readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .sort()) {
  describe(file, () => {
    const sections = read(join(folder, file));
    test("gives the printed state and plans", () => {
      const told = tell(sections, compilePart(file === "paths.txt"));
      if (process.env["UPDATE_GOLDENS"] === "1") return writeFileSync(join(folder, file), print(told));
      assert.equal(print(told), print(sections));
    });
    test("ends the same in any order", () => inAnyOrder(sections));
  });
}

function read(path: string): Section[] {
  return readFileSync(path, "utf8")
    .split(/^== /m)
    .map((part, i) => {
      const end = i === 0 ? -1 : part.indexOf("\n");
      return { name: i === 0 ? "" : part.slice(0, end), text: part.slice(end + 1) };
    });
}

function print(sections: readonly Section[]): string {
  return sections.map(({ name, text }) => (name === "" ? text : `== ${name}\n${text}`)).join("");
}

function resourcesOf(text: string): Map<string, Resource> {
  const list = parse(text) as Resource[];
  return new Map(list.map((r) => [keyOfResource(r), withEnvelope(r)]));
}

function withEnvelope(r: Resource): Resource {
  return { ...r, uid: r.uid ?? r.name, revision: 1 };
}

/** What tries the ways to peers is the same everywhere: it has a scenario of its own, and is left out of the others. */
function compilePart(isOfPaths: boolean): typeof compile {
  return (snapshot, host) =>
    new Map([...compile(snapshot, host)].filter(([, { ns }]) => (ns === PATHS_NS) === isOfPaths));
}

/** The same sections with state, plan and hit as the code gives them. */
function tell(sections: readonly Section[], compiled: typeof compile): Section[] {
  let resources = new Map<string, Resource>();
  let host = "";
  let before: KernelState = new Map();
  let now: KernelState = new Map();
  const snapshot = () => snapshotOf("test", 1, resources.values());
  return sections.map(({ name, text }) => {
    const [word, argument] = wordsOf(name);
    if (word === "snapshot") resources = resourcesOf(text);
    if (word === "change") resources = edited(resources, text);
    if (word === "on") host = argument ?? "";
    const isShown = ({ kind }: KernelObject) => argument !== "without" || kind !== "nft";
    if (word === "state") {
      now = compiled(snapshot(), host);
      return { name, text: lines(printState(new Map([...now].filter(([, object]) => isShown(object))))) };
    }
    if (word === "plan") {
      before = now;
      now = compiled(snapshot(), host);
      return { name, text: lines(printOps(diff(before, now).filter(({ object }) => isShown(object)))) };
    }
    if (word === "hit") return { name, text: lines(endpointsHit(diff(before, now), snapshot(), host)) };
    return { name, text };
  });
}

/** `on h1` is a word and its argument; `plan: why` a word and a remark; `state without tables` leaves out nft's. */
function wordsOf(name: string): string[] {
  return name.split(/[ :]/);
}

function edited(resources: ReadonlyMap<string, Resource>, text: string): Map<string, Resource> {
  const next = new Map(resources);
  for (const { put, remove } of parse(text) as Edit[]) {
    if (put !== undefined) next.set(keyOfResource(put), withEnvelope(put));
    if (remove !== undefined) assert(next.delete(remove), `${remove} is in the snapshot`);
  }
  return next;
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join("") + "\n";
}

function inAnyOrder(sections: readonly Section[]): void {
  let resources = new Map<string, Resource>();
  let host = "";
  for (const { name, text } of sections) {
    const [word, argument] = wordsOf(name);
    if (word === "on") host = argument ?? "";
    if (word === "change") resources = edited(resources, text);
    if (word === "snapshot") resources = resourcesOf(text);
    if (word !== "state" && word !== "plan") continue;
    const list = [...resources.values()];
    const expected = compile(snapshotOf("test", 1, list), host);
    for (const order of orders(list)) {
      assert.deepEqual(compile(snapshotOf("test", 1, order), host), expected);
      // One write at a time, each applied as a plan: the end does not depend on the way.
      let state: KernelState = new Map();
      const seen: Resource[] = [];
      for (const resource of [...order, ...order]) {
        const at = seen.findIndex((r) => keyOfResource(r) === keyOfResource(resource));
        if (at < 0) seen.push(resource);
        const desired: KernelState = compile(snapshotOf("test", 1, seen) satisfies Snapshot, host);
        state = applied(state, desired);
      }
      assert.deepEqual(state, expected);
    }
  }
}

function orders<T>(list: readonly T[]): T[][] {
  const middle = Math.floor(list.length / 2);
  return [list.toReversed(), [...list.slice(middle), ...list.slice(0, middle)], [...list]];
}

/** What a kernel would hold after the plan, without the kernel's cascades: removals are only what the plan says. */
function applied(state: KernelState, desired: KernelState): KernelState {
  const next = new Map(state);
  const ops = diff(state, desired);
  for (const { op, object } of ops) if (op === "remove") next.delete(keyOf(object));
  for (const key of next.keys()) if (!desired.has(key)) next.delete(key);
  for (const { op, object } of ops) if (op !== "remove") next.set(keyOf(object), object);
  return next;
}
