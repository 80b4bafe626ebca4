// Removes all that Weft made in this host's kernel, and proves it by looking again. Recognises it as the agent does, by
// its marks; what others made stays.
import { existsSync, rmSync } from "node:fs";
import { fileJournal } from "../agent/journal.ts";
import { openDisk } from "../agent/disk.ts";
import { count, type Io } from "../cli/io.ts";
import type { PurgeFlags } from "../cli/purge.ts";
import { confirm } from "../cli/refuse.ts";
import { settingsOf } from "../cli/settings.ts";
import { agentClient } from "../client/agent.ts";
import { diff } from "../datapath/diff.ts";
import { printOp } from "../datapath/print.ts";
import type { Ns } from "../datapath/state.ts";
import { realFiles } from "../files/real.ts";
import { LinuxKernel } from "../kernel/linux.ts";
import { Fault } from "../model/fault.ts";
import { AGENT_DEFAULTS, AGENT_SETTINGS } from "./agent.ts";

/** A removal may uncover what hung on it, so a second look is normal and a third is not. */
const ROUNDS = 3;

export async function purge(io: Io, flags: PurgeFlags): Promise<number> {
  const { stateDir, socket, netnsPrefix, yes } = flags;
  const settings = await settingsOf("agent", AGENT_SETTINGS, { stateDir, socket, netnsPrefix }, io.env);
  await refuseWhileRunning(settings.socket ?? AGENT_DEFAULTS.socket);
  const directory = settings["state-dir"] ?? AGENT_DEFAULTS["state-dir"];
  const kernel = new LinuxKernel({ prefix: settings["netns-prefix"] ?? AGENT_DEFAULTS["netns-prefix"] });
  const workloads = existsSync(directory) ? attachedIn(directory, kernel.facts().bootId) : [];
  try {
    const held = await kernel.observe(workloads);
    if (held.size > 0) await confirm(io, "purging this host", [count(held.size, "kernel object")], yes);
    for (let round = 0; round < ROUNDS; round++) {
      const ops = diff(await kernel.observe(workloads), new Map());
      if (ops.length > 0) await kernel.apply(ops);
    }
    const left = diff(await kernel.observe(workloads), new Map());
    if (left.length > 0) throw notGone(left.flatMap(printOp));
    rmSync(directory, { recursive: true, force: true });
    io.err(`removed ${count(held.size, "kernel object")} and ${directory}; looked again: nothing is left\n`);
    return 0;
  } finally {
    kernel.close();
  }
}

async function refuseWhileRunning(socket: string): Promise<void> {
  const agent = agentClient(socket);
  const isRunning = await agent.status().then(
    () => true,
    () => false,
  );
  agent.close();
  if (!isRunning) return;
  throw new Fault("in-use", {
    what: "the agent is running: it would build everything anew",
    where: socket,
    fix: "stop it first",
  });
}

/** Namespaces of workloads, where interfaces of ours are. */
function attachedIn(directory: string, bootId: string): Ns[] {
  const journal = fileJournal(openDisk(directory, realFiles).journalPath, bootId, realFiles);
  const paths = [...journal.entries.values()].map(({ endpoint }) => endpoint.spec.netns);
  journal.close();
  return [...new Set(paths)].filter((path): path is `/${string}` => path.startsWith("/"));
}

function notGone(left: readonly string[]): Fault {
  return new Fault("kernel-refused", {
    what: "something of Weft is still in the kernel",
    blockers: left,
    fix: "see what uses it (a process in one of the namespaces?), then run weft purge again",
  });
}
