// Which bugs are planted: random by a seed, all kinds alike, so that a frequent kind does not hide the others.
import { randomFrom } from "../sim/lab/clock.ts";
import type { Judge } from "./accept.ts";
import type { Mutant } from "./edit.ts";

/** The first `count` of a shuffled order that types and lint accept. */
export async function chosen(all: readonly Mutant[], count: number, seed: number, judge: Judge): Promise<Mutant[]> {
  const order = shuffled(all, seed);
  const accepted: Mutant[] = [];
  for (let from = 0; accepted.length < count && from < order.length; ) {
    const window = order.slice(from, from + 2 * (count - accepted.length) + 4);
    from += window.length;
    const good = new Set<Mutant>();
    for (const batch of batchesOf(window)) for (const mutant of await judge.accepted(batch)) good.add(mutant);
    accepted.push(...window.filter((mutant) => good.has(mutant)));
  }
  return accepted.slice(0, count);
}

/** What can be judged at once: at most one bug per zone, and not too many. */
function batchesOf(mutants: readonly Mutant[]): Mutant[][] {
  const batches: { readonly zones: Set<string>; readonly mutants: Mutant[] }[] = [];
  for (const mutant of mutants) {
    const zone = `${mutant.file} ${mutant.zone.join()}`;
    let batch = batches.find(({ zones, mutants: { length } }) => length < BATCH && !zones.has(zone));
    if (batch === undefined) batches.push((batch = { zones: new Set(), mutants: [] }));
    batch.zones.add(zone);
    batch.mutants.push(mutant);
  }
  return batches.map((batch) => batch.mutants);
}

const BATCH = 40;

function shuffled(all: readonly Mutant[], seed: number): Mutant[] {
  const random = randomFrom(seed);
  const byKind = [...Map.groupBy(all, ({ kind }) => kind).values()];
  const order: Mutant[] = [];
  while (byKind.length > 0) {
    const at = random(byKind.length);
    const kind = byKind[at] ?? [];
    order.push(...kind.splice(random(kind.length), 1));
    if (kind.length === 0) byKind.splice(at, 1);
  }
  return order;
}
