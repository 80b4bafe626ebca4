// The checks by other programs: compiler, formatter, linter, dead code. Each is one line of the summary.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export type Check = { readonly name: string; readonly program: string; readonly argv: readonly string[] };
export type CheckResult = { readonly name: string; readonly ok: boolean; readonly ms: number; readonly output: string };

export const CHECKS: readonly Check[] = [
  { name: "types", program: "tsc", argv: ["-p", "."] },
  { name: "format", program: "biome", argv: ["format", "--reporter=summary", "."] },
  { name: "lint", program: "oxlint", argv: ["--type-aware", "--deny-warnings"] },
  { name: "dead code", program: "knip", argv: ["--no-progress"] },
];

/** Runs a program of node_modules/.bin at `root` and keeps what it prints. */
export async function runCheck(root: string, { name, program, argv }: Check): Promise<CheckResult> {
  const startedMs = performance.now();
  const bin = join(root, "node_modules/.bin");
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
  const child = spawn(join(bin, program), argv, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { name, ok: code === 0, ms: performance.now() - startedMs, output };
}
