// How long until the command line answers? `bin/weft` from the shell against Node alone and against /bin/true, in
// turns. The first command after an installation fills the compile cache; it is run once before and not counted.
import { spawnSync } from "node:child_process";
import { cellsOf, median, quantilesOf, show } from "./lab/report.ts";

const ROUNDS = 40;
const ROOT = new URL("..", import.meta.url).pathname;

const COMMANDS = {
  nothing: ["/bin/true"],
  node: [process.execPath, "--eval", "0"],
  version: [`${ROOT}bin/weft`, "version"],
  help: [`${ROOT}bin/weft`, "--help"],
} as const;

type Name = keyof typeof COMMANDS;
const NAMES = Object.keys(COMMANDS) as Name[];

function runMs(name: Name): number {
  const [program, ...argv] = COMMANDS[name];
  const startedMs = performance.now();
  const { status, stderr } = spawnSync(program, argv, { encoding: "utf8" });
  const ms = performance.now() - startedMs;
  if (status !== 0) throw new Error(`${program} ${argv.join(" ")}: exit ${status}: ${stderr}`);
  return ms;
}

const times: Record<Name, number[]> = { nothing: [], node: [], version: [], help: [] };
for (const name of NAMES) runMs(name);
for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < NAMES.length; i++) {
    const name = NAMES[(i + round) % NAMES.length] ?? "nothing";
    times[name].push(runMs(name));
  }
}
const toNode = (name: Name) => median(times[name].map((ms, i) => ms / (times.node[i] ?? Number.NaN)));
show(
  {
    bench: "startup",
    values: {
      ...Object.fromEntries(NAMES.map((name) => [name, quantilesOf(times[name])])),
      ratio: { versionToNode: toNode("version"), helpToNode: toNode("help") },
    },
    columns: [`ms, ${ROUNDS} times`, "p50", "p90", "p99", "ratio to Node alone"],
    rows: NAMES.map((name) => [COMMANDS[name].join(" "), ...cellsOf(quantilesOf(times[name])), toNode(name)]),
    notes: [],
  },
  process.argv,
);
