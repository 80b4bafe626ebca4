// What does it cost to reserve addresses, and does that grow with how many? Reservations of 1 to 64 thousand addresses,
// each durable on SQLite before it is answered, made and deleted in turns: in a network of which nothing is used, and
// in one of which every second of the first hundred thousand addresses is held, so that the search has to step over
// them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Control } from "../src/control/control.ts";
import { openSqliteStore } from "../src/store/sqlite.ts";
import { median, show } from "./lab/report.ts";

const SIZES = [1, 2, 4, 8, 16, 32, 64].map((thousands) => thousands * 1024);
const ROUNDS = 15;
const HELD = 50_000;
const AT_ONCE = 500;

/** OpenNebula 6.10 with SQLite, `vn.reserve` of 1,000 to 8,000 addresses, in seconds; ours, on another day. */
const OPENNEBULA: Readonly<Record<number, number>> = { 1024: 0.17, 2048: 0.6, 4096: 2.42, 8192: 9.94 };

type Network = "empty" | "full";
type Times = Map<number, Readonly<Record<Network, number[]>>>;

async function main(folder: string): Promise<void> {
  const store = openSqliteStore(join(folder, "weft.db"));
  const clock = { nowMs: () => Date.now(), sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { clock });
  await control.write({ verb: "put-network", name: "empty", spec: { subnets: [{ cidr: "10.0.0.0/8" }] } });
  await control.write({ verb: "put-network", name: "full", spec: { subnets: [{ cidr: "11.0.0.0/8" }] } });
  await holdEverySecond(control);
  const times: Times = new Map(SIZES.map((size) => [size, { empty: [], full: [] }]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; i < SIZES.length; i++) {
      const size = SIZES[(i + round) % SIZES.length] ?? 0;
      for (const network of ["empty", "full"] as const) {
        const ms = await reserveMs(control, network, size);
        // The first round warms up.
        if (round > 0) times.get(size)?.[network].push(ms);
      }
    }
  }
  await control.close();
  await store.close();
  answer(times);
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
async function reserveMs(control: Control, network: Network, size: number): Promise<number> {
  const startedMs = performance.now();
  await control.write({ verb: "reserve", network, request: { name: "acme", size, tenant: "acme" } });
  const ms = performance.now() - startedMs;
  await control.write({ verb: "delete", kind: "network", name: "acme" });
  return ms;
}

function answer(times: Times): void {
  const of = (size: number, network: Network) => median(times.get(size)?.[network] ?? []);
  const [least = 0, most = 0] = [SIZES[0], SIZES.at(-1)];
  const flatness = of(most, "empty") / of(least, "empty");
  const fullFlatness = of(most, "full") / of(least, "full");
  show(
    {
      bench: "reserve",
      values: {
        ...Object.fromEntries(
          SIZES.map((size) => [`size${size}`, { emptyMs: of(size, "empty"), fullMs: of(size, "full") }]),
        ),
        flatness,
        fullFlatness,
        openNebulaSeconds: OPENNEBULA,
      },
      columns: ["addresses", "ms, nothing used", `ms, ${HELD} held`, "OpenNebula, ms"],
      rows: SIZES.map((size) => {
        const theirs = OPENNEBULA[size];
        return [String(size), of(size, "empty"), of(size, "full"), theirs === undefined ? "" : theirs * 1000];
      }),
      notes: [
        `Medians of ${ROUNDS} in turns. ${most} addresses to ${least}: ${flatness.toFixed(2)} times, ` +
          `${fullFlatness.toFixed(2)} among what is held. Target: linear or better, which would be ${most / least}.`,
        "OpenNebula 6.10, vn.reserve of 1000, 2000, 4000 and 8000, measured by us on such a machine on another day.",
      ],
    },
    process.argv,
  );
}

const folder = mkdtempSync(join(tmpdir(), "weft-bench-reserve-"));
try {
  await main(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
