// What attach, detach and speculation share.
import type { Transport } from "../../client/transport.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { BlockLease } from "../journal/blockLease.ts";
import type { Journal } from "../journal/journal.ts";
import type { KernelView } from "../reconcile/kernelView.ts";
import type { Rounds } from "../reconcile/rounds.ts";
import type { SnapshotSource } from "../reconcile/snapshotSource.ts";
import type { NetworkContexts } from "./compile.ts";

export type EndpointParts = {
  readonly host: string;
  readonly bootId: string;
  readonly view: KernelView;
  readonly rounds: Pick<Rounds, "now">;
  readonly snapshots: SnapshotSource;
  readonly contexts: NetworkContexts;
  readonly journal: Journal;
  readonly kernel: Kernel;
  readonly transport: Pick<Transport, "attach" | "attachAnywhere" | "detach">;
  readonly blockLease: BlockLease;
  readonly clock: Clock;
  readonly uid: () => string;
  /** What the last round could not do, a line each. */
  readonly errors: () => readonly string[];
  /** The journal has something that the server does not know. */
  readonly pokeRegistrar: () => void;
  /** Called when an endpoint of a workload came or went. */
  readonly onNews: () => void;
};
