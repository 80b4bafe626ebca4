// How long a reservation takes by its size: of 1 to 64 thousand addresses, each durable on SQLite before it is
// answered, made and deleted in turns. In a network of which nothing is used, and in one of which every second of the
// first hundred thousand addresses is held, so that the search has to step over them.
import { join } from "node:path";
import { Control } from "../../src/control/control.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { median } from "../lab/report.ts";

const SIZES = [1, 2, 4, 8, 16, 32, 64].map((thousands) => thousands * 1024);
const ROUNDS = 15;
const HELD = 50_000;
const AT_ONCE = 500;
const NETWORKS = ["empty", "full"] as const;

/** OpenNebula 6.10 with SQLite, `vn.reserve` of 1,000 to 8,000 addresses, in milliseconds; ours, on another day. */
const OPENNEBULA_MS: Readonly<Record<number, number>> = { 1024: 170, 2048: 600, 4096: 2420, 8192: 9940 };

/** Milliseconds. */
export type Reserved = { readonly size: number } & { readonly [network in (typeof NETWORKS)[number]]: number };

export async function reserveTimes(folder: string): Promise<readonly Reserved[]> {
  const store = openSqliteStore(join(folder, "reserve.db"));
  const clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: () => new Promise<void>(() => {}),
  };
  const control = await Control.open(store, { clock });
  for (const [i, name] of NETWORKS.entries())
    await control.write({ verb: "put", kind: "network", name, spec: { subnets: [{ cidr: `${10 + i}.0.0.0/8` }] } });
  await holdEverySecond(control);
  const times = SIZES.map((size) => ({ size, empty: [] as number[], full: [] as number[] }));
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; i < times.length; i++) {
      const at = times[(i + round) % times.length];
      for (const network of NETWORKS) {
        const ms = await reserveMs(control, network, at?.size ?? 0);
        // The first round warms up.
        if (round > 0) at?.[network].push(ms);
      }
    }
  }
  await control.close();
  await store.close();
  return times.map(({ size, empty, full }) => ({ size, empty: median(empty), full: median(full) }));
}

/** For a reader: ours by size, and beside it what was measured of OpenNebula. */
export function reserveNote(times: readonly Reserved[]): string {
  const ours = (network: (typeof NETWORKS)[number]) =>
    times.map(({ size, [network]: ms }) => `${size / 1024}k ${ms.toPrecision(3)}`).join(", ");
  const theirs = Object.entries(OPENNEBULA_MS).map(([size, ms]) => `${Number(size) / 1024}k ${ms}`);
  return (
    `Reserving, ms by size: ${ours("empty")}; where ${HELD} of the first addresses are held: ${ours("full")}. ` +
    `64k to 1k: ${growthOf(times).toFixed(2)} times. Target: linear or better. OpenNebula 6.10, measured by us on ` +
    `such a machine on another day: ${theirs.join(", ")}.`
  );
}

/** The largest over the smallest. */
export function growthOf(times: readonly Reserved[]): number {
  return (times.at(-1)?.empty ?? Number.NaN) / (times[0]?.empty ?? Number.NaN);
}

async function holdEverySecond(control: Control): Promise<void> {
  for (let from = 0; from < HELD; from += AT_ONCE) {
    const holds = Array.from({ length: AT_ONCE }, (_, i) => 2 * (from + i + 1));
    await Promise.all(
      holds.map((n) => {
        const first = `11.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
        return control.write({ verb: "hold", request: { network: "full", first, reason: "bench", owner: "bench" } });
      }),
    );
  }
}

/** Until it is durable; what was reserved is given back, which is not counted. */
async function reserveMs(control: Control, network: string, size: number): Promise<number> {
  const startedMs = performance.now();
  await control.write({ verb: "reserve", network, request: { name: "acme", size, tenant: "acme" } });
  const ms = performance.now() - startedMs;
  await control.write({ verb: "delete", kind: "network", name: "acme" });
  return ms;
}
