// Removes all that Weft made in this host's kernel, and proves it by looking again. Recognises it as the agent does, by
// its marks; what others made stays.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileJournal } from "../agent/journal/journal.ts";
import { openDisk } from "../agent/server/stateDir.ts";
import { count, type Io } from "../cli/io.ts";
import type { PurgeFlags } from "../cli/context.ts";
import { confirm } from "../cli/input/confirm.ts";
import { agentClient } from "../client/agent.ts";
import { diff } from "../datapath/state/diff.ts";
import { printOps } from "../datapath/state/print.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { KernelState } from "../datapath/state/state.ts";
import { ownFilesIn } from "../doors/cni/files.ts";
import { realFiles } from "../files/real.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { linuxKernel } from "../kernel/linux.ts";
import { lockDirectory } from "../kernel/lock.ts";
import { Fault } from "../model/fault.ts";
import { ownDropIns, removeDropIns } from "./dropIns.ts";
import { agentSettings } from "./agent.ts";
import { giveBackDevices, savedIn } from "./giveBack.ts";
import { removeStateFiles, stateFilesIn } from "./stateFiles.ts";

/** A removal may uncover what hung on it, so a second look is normal and a third is not. */
const ROUNDS = 3;
/** Where agents are told to keep CNI configurations, mostly. */
const USUAL_CNI_DIR = "/etc/cni/net.d";

export async function purge(io: Io, flags: PurgeFlags): Promise<number> {
  const { stateDir, socket, netnsPrefix, cniDir, etcDir, runDir, ovsdb, yes } = flags;
  const settings = await agentSettings({ stateDir, socket, netnsPrefix, cniDir, etcDir, runDir, ovsdb }, io.env);
  const { socket: socketPath, "state-dir": directory } = settings;
  await refuseWhileRunning(socketPath);
  // What is not an agent's is refused before the journal is opened there, which writes.
  const found = stateFilesIn(directory, socketPath);
  const unlock =
    found.directory === undefined
      ? () => undefined
      : (await lockDirectory(directory, "state directory", io.clock)).release;
  const kernel = linuxKernel({ prefix: settings["netns-prefix"], ovsdb: settings.ovsdb });
  const workloads = found.directory === undefined ? [] : attachedIn(found.directory, kernel.facts().bootId);
  try {
    const objects = [...(await kernel.observe(workloads)).values()].filter(({ kind }) => kind !== "sysctl").length;
    const kernelLoss = objects > 0 ? [count(objects, "kernel object")] : [];
    const cniFiles = keptFiles(settings["cni-dir"]);
    const { "etc-dir": etc, "run-dir": run } = settings;
    const dropIns = etc === undefined ? [] : ownDropIns({ etc, run });
    const losses = [...kernelLoss, ...found.paths, ...cniFiles, ...dropIns];
    if (losses.length > 0) await confirm(io, "purging this host", losses, yes);
    const given = await giveBackDevices(kernel, savedIn(found.directory, kernel.facts().bootId));
    for (const line of given) io.err(`${line}\n`);
    await removeObjects(kernel, workloads);
    for (const file of cniFiles) rmSync(file, { force: true });
    removeDropIns(dropIns);
    // The journal may have been made only now, by looking into it.
    const removed = [...kernelLoss, ...cniFiles, ...dropIns, ...removeStateFiles(stateFilesIn(directory, socketPath))];
    io.err(`${removed.length === 0 ? "nothing of Weft was here" : `removed ${removed.join(", ")}`}; `);
    io.err("looked again: nothing is left in the kernel\n");
    const state = await kernel.observe([]);
    for (const line of [...staying(state, settings["cni-dir"]), ...kernel.troubles()]) io.err(`${line}\n`);
    return 0;
  } finally {
    kernel.close();
    unlock();
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

async function removeObjects(kernel: Kernel, workloads: readonly Ns[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const ops = diff(await kernel.observe(workloads), new Map());
    if (ops.length > 0) await kernel.apply(ops);
  }
  const left = diff(await kernel.observe(workloads), new Map());
  if (left.length > 0) throw notGone(printOps(left, kernel.netnsPrefix));
}

/** CNI configurations that the agent kept; those of others stay. */
function keptFiles(directory: string | undefined): readonly string[] {
  return directory === undefined ? [] : ownFilesIn(directory).map((file) => join(directory, file));
}

/** What Weft may have made and leaves, with what to do about it: other programs may rely on it by now. */
function staying(state: KernelState, cniDir: string | undefined): readonly string[] {
  const forwards = [...state.values()].some(
    (o) => o.kind === "sysctl" && o.key === "ipv4/ip_forward" && o.value === "1",
  );
  const files = cniDir === undefined ? ownFilesIn(USUAL_CNI_DIR) : [];
  return [
    ...(forwards
      ? ["net.ipv4.ip_forward stays 1, as others may need it by now; if not: sysctl -w net.ipv4.ip_forward=0"]
      : []),
    ...(files.length === 0
      ? []
      : [`${USUAL_CNI_DIR} still has ${files.join(", ")}: purge with --cni-dir to remove them`]),
  ];
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
