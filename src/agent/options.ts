// What an agent is made of.
import type { Mirror } from "../client/mirror.ts";
import type { Transport } from "../client/transport.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Snapshot } from "../model/resource.ts";
import type { BlockLease } from "./journal/blockLease.ts";
import type { Journal } from "./journal/journal.ts";
import type { SessionOptions } from "./server/session.ts";

export type AgentOptions = SessionOptions & {
  readonly host: string;
  readonly version: string;
  readonly kernel: Kernel;
  readonly journal: Journal;
  readonly mirror: Mirror;
  readonly transport: Transport;
  readonly blockLease: BlockLease;
  /** A new identifier for each endpoint of a local network. */
  readonly uid: () => string;
  /** Called with the newest snapshot, at most once a second: kept for a start without the server. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  /** What is wrong with this host's files or its kernel's tables, a line each; reported as conditions. */
  readonly troubles: () => readonly string[];
  /** Addresses that workloads must not reach, beside other hosts': the server's. */
  readonly management?: () => readonly string[];
};
