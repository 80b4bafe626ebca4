// How a host is removed on request or reclaimed when it is lost, and how the record of that is deleted.
import { Fault } from "../../model/fault.ts";
import type { Parts } from "../parts.ts";
import { type Caller, type Outcome, SERVER, type Write } from "../write.ts";
import type { Departure } from "./departures.ts";

export type ReclaimOptions = {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly by?: Departure["by"];
  /** Default: the server itself. */
  readonly caller?: Caller;
};

/** Removes a host; for one that was reclaimed, which is only a line in lists, deletes the line. */
export async function removeHost(
  parts: Parts,
  write: Extract<Write, { readonly verb: "delete" }>,
  options: Pick<ReclaimOptions, "dryRun" | "caller">,
): Promise<Outcome> {
  const isUser = options.caller?.identity.role === "user";
  if (options.dryRun !== true && !isUser && (await forgetDeparture(parts, write.name, options.caller)))
    return { revision: parts.committer.replayLog.revision, changes: [], created: false };
  return parts.lifecycle.remove(parts, write, { how: "deleted", by: "person" }, options);
}

export function reclaimHost(parts: Parts, host: string, options: ReclaimOptions): Promise<Outcome> {
  const { committer, lifecycle } = parts;
  // Asked at the time of the decision: it may have been heard meanwhile.
  const holds = () => {
    if (options.force !== true && committer.view.host.has(host)) lifecycle.checkLost(host);
  };
  const write = { verb: "delete", kind: "host", name: host, force: true } as const;
  return lifecycle.remove(parts, write, { how: "reclaimed", by: options.by ?? "person" }, { ...options, holds });
}

export async function reclaimLost(parts: Parts): Promise<string | undefined> {
  const { committer, lifecycle, histories } = parts;
  await committer.settled();
  const host = lifecycle.nextToReclaim(committer.view.host.keys(), histories.refused);
  if (host === undefined) return undefined;
  try {
    await reclaimHost(parts, host, { by: "server" });
    return host;
  } catch (error) {
    // It was heard, or removed, in the last moment.
    if (error instanceof Fault && (error.reason === "in-use" || error.reason === "host-unknown")) return undefined;
    throw error;
  }
}

/** Forgets that a host was reclaimed; its token stays worth nothing. False if there is nothing to forget. */
async function forgetDeparture({ committer, lifecycle }: Parts, host: string, caller = SERVER): Promise<boolean> {
  const { departures } = lifecycle;
  if (committer.view.host.has(host) || !departures.list.some((one) => one.host === host)) return false;
  const about = { verb: "delete", object: `host/${host}` };
  await lifecycle.kept(committer, { about, caller, secrets: () => departures.forget(host) });
  return true;
}
