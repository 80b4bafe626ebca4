// How many durable leases per second, and does the cost of one grow with how many there are? Clients in flight take
// addresses of one network of which none, 10 thousand, 100 thousand or 1 million are used: at the control plane (in the
// server's process, over the store on disk) and over HTTP (connections of other processes). Servers at all four levels
// run at the same time and are measured in turns. Beside them, in the same run, an allocator with a file per address;
// and what it takes to reserve a thousand addresses, and more.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, quantilesOf, show } from "./lab/report.ts";
import { Child } from "./leases/child.ts";
import type { Question as Request } from "./leases/client.ts";
import { type ClaimsRun, claimOf } from "./leases/claims.ts";
import { AddressFiles, type Way } from "./leases/files.ts";
import { type Reserved, growthOf, reserveNote, reserveTimes } from "./leases/reserve.ts";
import type { Answer, Opened, Question, Span } from "./leases/server.ts";

const LEVELS = [
  { used: 0, name: "none" },
  { used: 10_000, name: "used10k" },
  { used: 100_000, name: "used100k" },
  { used: 1_000_000, name: "used1M" },
] as const;
const MOST = LEVELS.length - 1;

const ROUNDS = 11;
/** Leases taken at a time and given back after it, each by an owner that never was before; no level has them. */
const SPAN: Span = { from: 10_000_000, count: 5_000 };
const CLIENTS = 128;
/** Many share a sync of the disk: it is not what is measured. */
const FILLING = 4096;
const PROCESSES = 2;
const CONNECTIONS = 32;

/** OpenNebula 6.10 with SQLite, one client, `vn.hold`, as we measured it on a machine of this kind, on another day. */
const OPENNEBULA = { leasesPerSecondNearEmpty: 392, leasesPerSecondAt16k: 33 } as const;

type Server = Child<Question, Answer>;
type Client = Child<Request, ClaimsRun>;
type Level = (typeof LEVELS)[number] & { readonly server: Server; readonly opened: Opened; readonly bytes: number };
/** Of one level: a window of each round, and how long one lease of a file allocator takes in milliseconds. */
type Measured = { readonly inside: ClaimsRun[]; readonly http: ClaimsRun[] };
type Files = { readonly [way in Way]: number };

const children: Pick<Server, "end">[] = [];

async function main(folder: string): Promise<void> {
  progress("filling a store");
  await fill(folder);
  progress("starting a server at each level");
  const levels: Level[] = [];
  for (const level of LEVELS) levels.push({ ...level, ...(await start(pathOf(folder, level.used))) });
  const clients = Array.from({ length: PROCESSES }, () => begun(new Child<Request, ClaimsRun>("client.ts", [])));
  const measured = await inTurns(levels, clients);
  for (const child of children) await child.end();
  progress("reserving");
  const reserved = await reserveTimes(folder);
  progress("a file per address");
  answerWith(levels, measured, measureFiles(folder), reserved);
  progress("removing a million files");
}

/** A store per level, each a copy of one that is filled on and on. */
async function fill(folder: string): Promise<void> {
  const path = join(folder, "filling.db");
  for (const [i, { used }] of LEVELS.entries()) {
    const server = begun<Server>(new Child("server.ts", [path]));
    const from = LEVELS[i - 1]?.used ?? 0;
    await server.ask({ ask: "take", clients: FILLING, from, count: used - from });
    await server.end();
    copyFileSync(path, pathOf(folder, used));
  }
}

async function start(path: string): Promise<Pick<Level, "server" | "opened" | "bytes">> {
  const server = begun<Server>(new Child("server.ts", [path]));
  const opened = (await server.ask({ ask: "opened" })) as Opened;
  const { bytes } = (await server.ask({ ask: "memory" })) as { readonly bytes: number };
  return { server, opened, bytes };
}

/** The first round warms up and is not counted. */
async function inTurns(levels: readonly Level[], clients: readonly Client[]): Promise<Measured[]> {
  const measured = levels.map((): Measured => ({ inside: [], http: [] }));
  for (let round = 0; round <= ROUNDS; round++) {
    progress(round === 0 ? "warming up" : `round ${round} of ${ROUNDS}`);
    for (let i = 0; i < levels.length; i++) {
      const n = (i + round) % levels.length;
      const { server, opened } = levels[n] ?? unreachable();
      const [first, second] = [spanOf(2 * round), spanOf(2 * round + 1)];
      const inside = (await server.ask({ ask: "take", clients: CLIENTS, ...first })) as ClaimsRun;
      await server.ask({ ask: "giveBack", ...first });
      const http = await overHttp(clients, opened, second);
      await server.ask({ ask: "giveBack", ...second });
      if (round === 0) continue;
      measured[n]?.inside.push(inside);
      measured[n]?.http.push(http);
    }
  }
  return measured;
}

function spanOf(n: number): Span {
  return { from: SPAN.from + n * SPAN.count, count: SPAN.count };
}

async function overHttp(clients: readonly Client[], { port, token }: Opened, span: Span): Promise<ClaimsRun> {
  const step = clients.length;
  const taken = await Promise.all(
    clients.map((client, i) =>
      client.ask({
        ask: "take",
        from: span.from + i,
        count: span.count - i,
        step,
        port,
        token,
        connections: CONNECTIONS,
      }),
    ),
  );
  return {
    ms: Math.max(...taken.map(({ ms }) => ms)),
    samples: taken.flatMap(({ samples }) => samples),
    cpuUs: taken.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
  };
}

/** As many of each as a second or two allows. */
function measureFiles(folder: string): Files[] {
  const files = new AddressFiles(join(folder, "addresses"));
  let n = SPAN.from;
  const msOf = (way: Way): number => {
    const startedMs = performance.now();
    let count = 0;
    for (; count < 1 || (performance.now() - startedMs < 1_000 && count < 1_000); count++) {
      files.take(claimOf(n++).owner, way);
    }
    return (performance.now() - startedMs) / count;
  };
  const costs = LEVELS.map(({ used }): Files => {
    files.fill(used);
    return { "host-local": msOf("host-local"), durable: msOf("durable") };
  });
  files.close();
  return costs;
}

function answerWith(
  levels: readonly Level[],
  measured: readonly Measured[],
  files: readonly Files[],
  reserved: readonly Reserved[],
): void {
  const figures = levels.map((level, i) => figuresOf(level, measured[i] ?? unreachable(), files[i] ?? unreachable()));
  const flatnessOf = (way: keyof Measured, cost: "ms" | "cpuUs" = "ms") =>
    median(
      (measured[MOST]?.[way] ?? []).map((taken, i) => taken[cost] / (measured[0]?.[way][i]?.[cost] ?? Number.NaN)),
    );
  const [none, most] = [figures[0] ?? unreachable(), figures[MOST] ?? unreachable()];
  const memoryPerMillionMiB = most.memoryMiB - none.memoryMiB;
  const [flatness, cpuFlatness, httpFlatness] = [
    flatnessOf("inside"),
    flatnessOf("inside", "cpuUs"),
    flatnessOf("http"),
  ];
  show(
    {
      bench: "ipam",
      values: {
        leasesPerSecond: none.perSecond,
        flatness,
        cpuFlatness,
        httpLeasesPerSecond: none.httpPerSecond,
        httpFlatness,
        memoryPerMillionMiB,
        startPerMillionMs: most.startMs,
        ...Object.fromEntries(LEVELS.map(({ name }, i) => [name, figures[i] ?? unreachable()])),
        reserveMs: Object.fromEntries(reserved.map(({ size, empty }) => [`${size / 1024}k`, empty])),
        reserveGrowth: growthOf(reserved),
        openNebula: OPENNEBULA,
      },
      columns: [
        "used",
        "leases/s",
        "p50 ms",
        "p99",
        "µs CPU",
        "HTTP/s",
        "p50 ms",
        "p99",
        "file/s",
        "durable file/s",
        "start ms",
      ],
      rows: LEVELS.map(({ used }, i) => rowOf(used, figures[i] ?? unreachable())),
      notes: [
        `${ROUNDS} rounds of ${SPAN.count} leases in turns, on SQLite, durable before the answer. ` +
          `leases/s: ${CLIENTS} clients in flight at the control plane. HTTP/s: ${PROCESSES} processes with ` +
          `${CONNECTIONS} connections each, on the same processors as the server.`,
        `Cost per lease at a million used over none: ${flatness.toFixed(2)} in time, ${cpuFlatness.toFixed(2)} in ` +
          `processor time, ${httpFlatness.toFixed(2)} in time over HTTP. ` +
          `Target: at most 1.3, and 10000 leases/s. Memory: ${memoryPerMillionMiB.toFixed(0)} MiB per million leases.`,
        "file/s: a file per address as CNI's host-local does it, one client, not synced. durable file/s: the same " +
          "without its search for the owner, synced.",
        `OpenNebula 6.10, one client, measured by us on such a machine on another day: ` +
          `${OPENNEBULA.leasesPerSecondNearEmpty}/s near empty, ${OPENNEBULA.leasesPerSecondAt16k}/s at 16,000 used.`,
        reserveNote(reserved),
      ],
    },
    process.argv,
  );
}

type Figures = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of one lease, the whole process: its helpers collect garbage. */
  readonly cpuUs: number;
  readonly httpPerSecond: number;
  readonly httpP50Ms: number;
  readonly httpP99Ms: number;
  readonly filePerSecond: number;
  readonly durableFilePerSecond: number;
  readonly startMs: number;
  readonly memoryMiB: number;
};

function figuresOf({ opened, bytes }: Level, { inside, http }: Measured, files: Files): Figures {
  const rate = (windows: readonly ClaimsRun[]) => (SPAN.count / median(windows.map(({ ms }) => ms))) * 1000;
  const [quantiles, httpQuantiles] = [inside, http].map((all) => quantilesOf(all.flatMap(({ samples }) => samples)));
  return {
    perSecond: rate(inside),
    p50Ms: quantiles?.p50 ?? Number.NaN,
    p99Ms: quantiles?.p99 ?? Number.NaN,
    cpuUs: median(inside.map(({ cpuUs }) => cpuUs)) / SPAN.count,
    httpPerSecond: rate(http),
    httpP50Ms: httpQuantiles?.p50 ?? Number.NaN,
    httpP99Ms: httpQuantiles?.p99 ?? Number.NaN,
    filePerSecond: 1000 / files["host-local"],
    durableFilePerSecond: 1000 / files.durable,
    startMs: opened.startMs,
    memoryMiB: bytes / 2 ** 20,
  };
}

function rowOf(used: number, all: Figures): (string | number)[] {
  return [
    used.toLocaleString("en"),
    Math.round(all.perSecond),
    all.p50Ms,
    all.p99Ms,
    all.cpuUs,
    Math.round(all.httpPerSecond),
    all.httpP50Ms,
    all.httpP99Ms,
    all.filePerSecond,
    all.durableFilePerSecond,
    all.startMs,
  ];
}

/** The whole takes some minutes. */
function progress(what: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${what}\n`);
}

function pathOf(folder: string, used: number): string {
  return join(folder, `used-${used}.db`);
}

function begun<C extends Pick<Server, "end">>(child: C): C {
  children.push(child);
  return child;
}

function unreachable(): never {
  throw new Error("a level without figures");
}

const folder = mkdtempSync(join(tmpdir(), "weft-bench-ipam-"));
try {
  await main(folder);
} finally {
  for (const child of children) await child.end();
  rmSync(folder, { recursive: true, force: true });
}
