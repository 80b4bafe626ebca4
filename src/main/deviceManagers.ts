// What other services of the host are told when a device of its own becomes a port of a bridge with the host's
// addresses, and when it is given back. Their files say it before (dropIns.ts), so that a restart of theirs does no
// harm. They read the files afterwards: by its source, networkd 252 takes away what it has given a device when it reads
// that the device is not its own.
import type { Services } from "../agent/reconcile/takeOvers.ts";
import type { Mirror } from "../client/mirror.ts";
import { runProgram } from "../kernel/programs.ts";
import { RELOADS, runningServices, syncDropIns } from "./dropIns.ts";
import type { Log } from "./log.ts";

type Folders = { readonly "etc-dir"?: string; readonly "run-dir": string };

export function deviceManagers(folders: Folders, host: string, mirror: Pick<Mirror, "snapshot">, log: Log): Services {
  const { "etc-dir": etc, "run-dir": run } = folders;
  const sync = () => (etc === undefined ? [] : syncDropIns({ etc, run }, host, mirror.snapshot(), log));
  return {
    prepare() {
      if (etc !== undefined) return sync();
      return runningServices().map(
        (name) =>
          `${name} runs on this host and would put the host's addresses on it again: ` +
          "start the agent with --etc-dir /etc",
      );
    },
    async reload() {
      sync();
      const running = etc === undefined ? [] : runningServices();
      const told = await Promise.all(running.map((name) => runProgram(RELOADS.get(name) ?? [])));
      return told.flatMap((error, i) =>
        error === undefined ? [] : [`${running[i]} was not told of devices that changed hands: ${error}`],
      );
    },
  };
}
