// One test file in a process group of its own, with a directory for temporary files that is removed with it. Nothing of
// a trial outlives it, whatever the planted bug started.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";

export type Run = {
  readonly cwd: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  /** In namespaces of its own, so that nothing of a killed kernel test is left. */
  readonly isKernel: boolean;
};
export type Ran = {
  readonly code: number | null;
  readonly timedOut: boolean;
  readonly output: string;
  readonly ms: number;
};

const OUTPUT_MAX = 20_000;
const running = new Set<number>();

export async function run({ cwd, argv, env, deadlineMs, isKernel }: Run): Promise<Ran> {
  // Short, because unix sockets lie in there.
  const scratch = mkdtempSync("/tmp/wm-");
  const { NODE_TEST_CONTEXT: _, ...own } = process.env;
  const command = isKernel ? [...APART, process.execPath, ...argv] : [process.execPath, ...argv];
  const startedMs = performance.now();
  const child = spawn(command[0] ?? "", command.slice(1), {
    cwd,
    detached: true,
    env: { ...own, TMPDIR: scratch, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const pid = child.pid ?? 0;
  running.add(pid);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (output.length < OUTPUT_MAX) output += chunk.toString();
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill(pid);
  }, deadlineMs);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(timer);
  kill(pid);
  running.delete(pid);
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  return { code, timedOut, output, ms: performance.now() - startedMs };
}

/** Processes, mounts and links of a kernel test end with the shell that is their init. */
const APART = [
  ..."unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private sh -c".split(" "),
  'mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up && "$@"; exit $?',
  "sh",
];

function kill(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: none of the group is left.
  }
}

/** For the end of the tool, however it comes. */
export function killAll(): void {
  for (const pid of running) kill(pid);
}
