// Runs programs for the demonstration (`ip`, `ping` and Weft itself) as argument lists with a deadline, and starts
// those that stay, with their output in a log. The demonstration uses an operator's tools.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { Fault } from "../src/model/fault.ts";

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

const DEADLINE_MS = 30_000;

/** Runs a program to its end, whatever the exit code; -1 if it could not be started or was killed. */
export async function run(argv: readonly string[], input = ""): Promise<Ran> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: DEADLINE_MS });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // A program that ends without reading its input closes the pipe; its exit code says the rest.
  child.stdin.on("error", () => undefined).end(input);
  try {
    await once(child, "close");
  } catch (error) {
    return { code: -1, stdout, stderr: String(error) };
  }
  return { code: child.exitCode ?? -1, stdout, stderr };
}

/** Runs a program and returns stdout; throws a Fault `kernel-refused` with the program's message unless it succeeds. */
export async function must(argv: readonly string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await run(argv, input);
  if (code === 0) return stdout;
  throw new Fault("kernel-refused", {
    what: `${argv.slice(0, 6).join(" ")} failed`,
    why: (stderr || stdout).trim().split("\n").slice(-6).join(" | ") || `exit code ${code}`,
    fix: "see the reason above; script/down removes whatever is left",
  });
}

export type Started = { readonly pid: number; readonly startTime: string };

/** Starts a program that outlives this one, in a session of its own, with stdout and stderr appended to a log. */
export async function start(argv: readonly string[], log: string): Promise<Started> {
  const [program = "", ...args] = argv;
  const fd = openSync(log, "a", 0o600);
  try {
    const child = spawn(program, args, { detached: true, stdio: ["ignore", fd, fd] });
    await once(child, "spawn");
    child.unref();
    const { pid } = child;
    const startTime = pid === undefined ? undefined : startTimeOf(pid);
    if (pid === undefined || startTime === undefined) throw new Error(`${program} ended at once`);
    return { pid, startTime };
  } finally {
    closeSync(fd);
  }
}

/** When the process with this id was started, in the kernel's ticks: with the id, this names one process for ever. */
function startTimeOf(pid: number): string | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  // The command name may contain anything, also ")": fields count from the last one (proc(5)). A zombie is gone.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
}

export function isRunning({ pid, startTime }: Started): boolean {
  return startTimeOf(pid) === startTime;
}

/** Empty if the file cannot be read. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
