// Removes the demonstration and checks that it is gone: stops the processes that it recorded, deletes its namespaces
// and files, then looks again. Works from what exists, not from what was planned, so it also removes a half-built
// demonstration.
import { existsSync, rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { count, type Io } from "../src/cli/io.ts";
import { Fault } from "../src/model/fault.ts";
import { CLI_FILE, FAILED_DIR, RUN_DIR } from "./layout.ts";
import { notedProcesses, stopAll } from "./processes.ts";
import { isRunning, textOf } from "./run.ts";
import { demoNamespaces, processesIn, removeNamespaces } from "./underlay.ts";

export function isThere(): boolean {
  return existsSync(RUN_DIR) || demoNamespaces().length > 0;
}

/** Removes everything of the demonstration, and counts it. A Fault `in-use` lists what could not be removed. */
export async function removeDemo(io: Pick<Io, "clock">) {
  const noted = notedProcesses();
  const stopped = await stopAll(noted, io.clock);
  const namespaces = demoNamespaces();
  const guests = [...processesIn(namespaces)].map(
    ([pid, ns]) => `process ${pid} (${textOf(`/proc/${pid}/comm`).trim() || "ended"}) in ${ns}`,
  );
  await removeNamespaces(namespaces);
  rmSync(RUN_DIR, { recursive: true, force: true });
  // It names the installation that wrote it; another installation's is left alone.
  if (textOf(CLI_FILE).includes(RUN_DIR)) rmSync(CLI_FILE, { force: true });
  removeIfEmpty(dirname(RUN_DIR));
  const left = [...demoNamespaces(), ...noted.filter(isRunning).map(({ name }) => `process ${name}`), ...guests];
  if (left.length > 0) {
    throw new Fault("in-use", {
      what: "something of the demonstration is still there",
      blockers: left,
      fix: "end these processes (a shell in a namespace keeps it alive), then run script/down again",
    });
  }
  return { processes: stopped.length, namespaces: namespaces.length };
}

export async function down(io: Io): Promise<number> {
  rmSync(FAILED_DIR, { recursive: true, force: true });
  if (!isThere()) {
    removeIfEmpty(dirname(RUN_DIR));
    io.err("The demonstration is not there: no process, no namespace, no file.\n");
    return 0;
  }
  const { processes, namespaces } = await removeDemo(io);
  const stopped = count(processes, "process", "processes");
  io.err(`Stopped ${stopped}, removed ${count(namespaces, "namespace")} and ${RUN_DIR}.\n`);
  io.err("Looked again: nothing is left.\n");
  return 0;
}

/** The directory above is shared with other daemons. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Another program uses it.
  }
}
