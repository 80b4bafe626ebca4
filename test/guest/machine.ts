// Runs one command in a guest: a Linux kernel of its own, as a program of this machine (user-mode Linux). It has this
// machine's files below a layer of memory, and no network but what the command makes. Three ways lead out: what the
// command prints, what it writes to /run/records, and its exit code. With the command everything ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { BUILTIN, KERNEL, PROJECT, SHIM } from "./files.ts";

export type Job = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly print: (chunk: Buffer) => void;
  readonly record: (chunk: Buffer) => void;
};

/** Lines that lead out of the guest, by the number of their file here: the console, and serial lines. */
const CONSOLE = 1;
const OUTPUT = 3;
const RECORDS = 4;
const EXIT = 5;

/**
 * With this process, and whole: a kernel that is killed leaves helpers behind, in a process group that is not ours.
 * They end with the namespace of processes that it is the first of.
 */
const DIES = ["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL"];

/** The exit code of a command in a guest of its own; rejects, with the console's end, if it did not come to an end. */
export async function runInGuest(job: Job): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), "weft-guest-"));
  try {
    const path = join(scratch, "job");
    writeFileSync(path, jobText(job));
    // The kernel keeps the guest's memory in a file of TMPDIR.
    const env = { ...process.env, LD_PRELOAD: SHIM, TMPDIR: "/dev/shm" };
    const machine = spawn("taskset", ["--cpu-list", onePlace(), "setpriv", ...DIES, KERNEL, ...kernelArgs(path)], {
      env,
      stdio: ["ignore", "pipe", "inherit", "pipe", "pipe", "pipe"],
    });
    let said = "";
    let code = "";
    const on = (line: number, take: (chunk: Buffer) => void) => (machine.stdio[line] as Readable).on("data", take);
    on(CONSOLE, (chunk) => (said = (said + chunk.toString()).slice(-3000)));
    on(OUTPUT, job.print);
    on(RECORDS, job.record);
    on(EXIT, (chunk) => (code += chunk.toString()));
    await once(machine, "close");
    if (code.trim() !== "") return Number(code);
    throw new Error(`the guest ended before its command; its console's end:\n${said}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * A processor of this machine's, as `taskset` takes it. Each page fault and system call of the guest goes to and fro
 * between its kernel and a process of the machine: on one processor that takes half the time (50 us a fault, not 100).
 */
function onePlace(): string {
  const allowed = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const all = allowed.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return String(all[process.pid % all.length]);
}

function kernelArgs(job: string): string[] {
  const init = join(import.meta.dirname, "init");
  const lines = `con0=fd:${CONSOLE} con=null ssl=null ssl0=fd:${OUTPUT} ssl1=fd:${RECORDS} ssl2=fd:${EXIT}`;
  const root = "root=/dev/root rootfstype=hostfs rootflags=/ ro";
  return [..."mem=1G quiet panic=-1 ".concat(root, " ", lines).split(" "), `init=${init}`, `WEFT_JOB=${job}`];
}

/** What runs in the guest's root as its first process; see `init`. Switches the machine off in the end. */
function jobText({ argv, env }: Job): string {
  const surroundings = {
    HOME: "/root",
    TMPDIR: "/run/tmp",
    NODE_COMPILE_CACHE: join(PROJECT, ".cache/node"),
    ...env,
  };
  return [
    ...Object.entries(surroundings).map(([name, value]) => `export ${name}=${quoted(value)}`),
    "ln -s ttyS0 /dev/output; ln -s ttyS1 /dev/records; ln -s ttyS2 /dev/exit",
    "for line in output records exit; do stty -F /dev/$line raw -echo; done",
    "hostname guest; ip link set lo up",
    `mkdir -p /lib/modules/$(uname -r); cp ${quoted(BUILTIN)} /lib/modules/$(uname -r)`,
    `cd ${quoted(PROJECT)}`,
    // By a pipe, so that no program takes the line for a terminal. A process that the command left may hold the pipe,
    // and is not waited for.
    "mkfifo /run/output; cat /run/output >/dev/output & printer=$!",
    // By a file, because what a program syncs (node's test runner) must not be a line. Tail ends with the command, and
    // reads once more after that.
    ": >/run/records",
    `${argv.map(quoted).join(" ")} </dev/null >/run/output 2>&1 & command=$!`,
    "tail -q -s 0.1 -c +1 -f --pid=$command /run/records >/dev/records; wait $command; code=$?",
    "timeout 2 tail --pid=$printer -f /dev/null; echo $code >/dev/exit; busybox poweroff -f",
    "",
  ].join("\n");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
