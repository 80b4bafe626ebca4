// What an agent is put together from.
import type { Kernel } from "../kernel/kernel.ts";
import type { Snapshot } from "../model/resource.ts";
import type { Journal } from "./journal/journal.ts";
import type { SessionOptions } from "./server/session.ts";

export type AgentOptions = SessionOptions & {
  readonly host: string;
  readonly version: string;
  readonly kernel: Kernel;
  readonly journal: Journal;
  /** Called with the newest snapshot, at most once a second: kept for a start without the server. */
  readonly saveSnapshot: (snapshot: Snapshot) => Promise<void>;
  /** What is wrong with this host's files or its kernel's tables, a line each; told as conditions. */
  readonly troubles: () => readonly string[];
  /** Addresses that workloads must not reach, beside other hosts': the server's. */
  readonly management?: () => readonly string[];
};
