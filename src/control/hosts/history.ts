// Hosts that have followed another history than this server's: noticed, and accepted when an administrator says so.
import type { Position } from "../../model/resource.ts";
import { notRefused } from "../commit/histories.ts";
import type { Parts } from "../parts.ts";

/** Throws `another-history` if the host has followed what this server never had. */
export function checkHistory({ histories, lifecycle }: Parts, host: string, known: Position): void {
  try {
    histories.check(host, known);
  } catch (error) {
    // It is alive, and must not be given up for what this server has lost.
    lifecycle.reports.sighted(host);
    throw error;
  }
}

export async function acceptHistory({ committer, histories }: Parts, host: string): Promise<void> {
  await committer.settled();
  if (!histories.refused.has(host)) throw notRefused(host);
  const { secret, begun } = histories.accepting([host]);
  await committer.submit({ secrets: () => [secret], committed: begun });
}
