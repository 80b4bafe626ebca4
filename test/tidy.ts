// House rules that no other linter knows: which folder may import which, how a file opens, how wide a line is, and what
// must not be in the tree. Each rule takes text and returns breaches, a line each; tidy.test.ts runs them over the
// tree, and over planted breaches. Limits on length, parameters, import circles, clock, programs and unused code are in
// .oxlintrc.json and knip.json.
import { posix } from "node:path";
import { shapeBreaches, type Source } from "./shapes.ts";

/**
 * Folders of src/ and what each may import; `types:` is for `import type` alone. Imports run one way. The table of
 * docs/architecture.md is the same; test/docs.test.ts compares the two.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  files: ["model"],
  tls: ["model"],
  oidc: ["model"],
  ipam: ["model"],
  store: ["model"],
  control: ["model", "ipam", "store", "tls"],
  api: ["model", "store", "control", "tls"],
  client: ["model", "files", "tls"],
  datapath: ["model"],
  formats: ["model", "datapath"],
  kernel: ["model", "datapath"],
  agent: ["model", "files", "tls", "ipam", "client", "datapath", "kernel"],
  doors: ["model", "files", "client", "datapath", "kernel", "agent"],
  ancestors: ["model", "ipam", "datapath", "types:control", "types:api"],
  cli: ["model", "files", "tls", "ipam", "client", "datapath", "ancestors", "formats"],
  // The demonstration cluster stands where an operator would: it runs Weft and looks at it from outside. It lies
  // beside src/, because a server does not install it.
  demo: ["model", "client", "cli"],
};
/** Folders of src/agent: each imports only those before it, and agent.ts all (see docs/architecture.md). */
const AGENT_FOLDERS = ["journal", "reconcile", "endpoint", "workload", "server", "socket"];
const COLUMNS_MAX = 120;
/** Names that say nothing: what has no home has no name yet. */
const EMPTY_NAMES = /(^|[/-])(utils?|helpers?|common|misc|managers?|services?|index)(\.ts|\/)/;
/** `kernel` says of a test that it needs root and Linux, `guest` that it needs a kernel of its own. */
const FILE_NAME = /^[a-z][a-zA-Z0-9]*((\.kernel|\.guest)?\.test)?\.ts$/;
/** What serves tests alone: it lives in test/, the units' in test/unit, by the folders of src/. */
const OF_TESTS = /^(src|demo)\/.*(\.test|\/lab|\/samples|[cC]ontract|\/any[A-Z]\w*)\.ts$/;

/** Files of the simulations and of the kernel tests are tests, or lie in the folder `lab` beside them. */
const OUTSIDE_LAB = /^test\/(sim|netns)\/\w+\.ts$/;

/** Every breach in one file of src/, demo/, test/ or bench/, as `file:line: what`. */
export function breachesOf(source: Source): string[] {
  return [openingBreaches, importBreaches, lineBreaches, nameBreaches, shapeBreaches].flatMap((rule) => rule(source));
}

function openingBreaches({ file, text }: Source): string[] {
  return /^(#!.*\n)?\/[/*]/.test(text) ? [] : [`${file}:1: opens without a comment that says what it owns`];
}

function nameBreaches({ file }: Source): string[] {
  return [
    ...(EMPTY_NAMES.test(file) ? [`${file}:1: a name that says nothing; name what it holds`] : []),
    ...(OUTSIDE_LAB.test(file) ? [`${file}:1: neither a test nor in lab/, where tests have what they share`] : []),
    ...(OF_TESTS.test(file) ? [`${file}:1: code of tests among the product's; its place is test/`] : []),
    ...(FILE_NAME.test(posix.basename(file))
      ? []
      : [`${file}:1: files are named likeThis.ts, tests likeThis(.kernel|.guest).test.ts`]),
  ];
}

function lineBreaches({ file, text }: Source): string[] {
  return text.split("\n").flatMap((line, i) => {
    const at = `${file}:${i + 1}`;
    return [
      ...(line.length > COLUMNS_MAX ? [`${at}: ${line.length} columns, at most ${COLUMNS_MAX}`] : []),
      // The linter cannot tell this from `new Date(ms)`, which is pure.
      ...(line.includes("new Date()") && !mayReadClock(file)
        ? [`${at}: new Date(): take a Clock (model/clock.ts)`]
        : []),
    ];
  });
}

function mayReadClock(file: string): boolean {
  return file === "src/main.ts" || !file.startsWith("src/") || file.endsWith(".test.ts");
}

/** The three ways to import: with names (1 is `type`, 2 the file), as an expression (3), for its effects (4). */
const IMPORT = new RegExp(
  [
    /^\s*(?:import|export)\s+(type\s)?[^"'`;]*?from\s+"(\.[^"]+)"/.source,
    /\bimport\(\s*"(\.[^"]+)"\s*\)/.source,
    /^\s*import\s+"(\.[^"]+)"/.source,
  ].join("|"),
  "gm",
);

function importBreaches({ file, text }: Source): string[] {
  const from = folderOf(file);
  if (from === undefined || from === "main" || file.endsWith(".test.ts")) return [];
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const target = posix.join(posix.dirname(file), match[2] ?? match[3] ?? match[4] ?? "");
    const to = folderOf(target);
    const isType = match[1] !== undefined;
    const line = text.slice(0, match.index).split("\n").length;
    if (to === "agent" && from === to) return agentBreach(file, target).map((what) => `${file}:${line}: ${what}`);
    if (to === from || (to !== undefined && mayImport(from, to, isType))) return [];
    return [`${file}:${line}: ${from} must not import ${to ?? target}${isType ? " (not even its types)" : ""}`];
  });
}

function agentBreach(file: string, target: string): string[] {
  const [, , from = ""] = file.split("/");
  const [, , to = ""] = target.split("/");
  if (from === to || !AGENT_FOLDERS.includes(from)) return [];
  const before = AGENT_FOLDERS.slice(0, AGENT_FOLDERS.indexOf(from));
  return before.includes(to) ? [] : [`agent/${from} must not import agent/${to}`];
}

function mayImport(from: string, to: string, isType: boolean): boolean {
  const allowed = MAY_IMPORT[from] ?? [];
  return allowed.includes(to) || (isType && allowed.includes(`types:${to}`));
}

/** `src/model/fault.ts` is in `model`, `src/main.ts` is `main`, `demo/up.ts` is in `demo`; undefined elsewhere. */
function folderOf(file: string): string | undefined {
  const [top, folder] = file.split("/");
  return top === "src" ? folder?.replace(/\.ts$/, "") : top === "demo" ? top : undefined;
}

/** What must be in no file of the tree, written so that this file does not contain it. */
const NOWHERE: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /\/(wor[k]|far[m])\//, why: "a path of one machine" },
  { pattern: /\.bash_job[s]/, why: "a path of one machine" },
  { pattern: /"resolve[d]":\s*"http/, why: "a download address; .npmrc keeps them out of the lock file" },
  { pattern: /^\s*(@[\w-]+:)?registr[y]\s*=/m, why: "a package registry is the machine's business" },
];

/** Breaches of what may be in no file at all, documents and scripts included. */
export function strayBreachesOf({ file, text }: Source): string[] {
  return NOWHERE.flatMap(({ pattern, why }) => {
    const at = text.search(pattern);
    return at < 0 ? [] : [`${file}:${text.slice(0, at).split("\n").length}: ${why}`];
  });
}
