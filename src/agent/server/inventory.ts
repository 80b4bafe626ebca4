// The inventory of this host's addresses, for a check: its journal and its kernel, read one after the other while
// attaches and detaches go on. Endpoints that changed meanwhile are named, so that the check takes none for an error.
import { portName } from "../../datapath/state/names.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Inventory } from "../../model/check.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { isAlive } from "../reconcile/localSnapshot.ts";

export type InventoryParts = {
  readonly host: string;
  readonly bootId: string;
  readonly kernel: Pick<Kernel, "ports" | "netnsId">;
  readonly journal: Pick<Journal, "entries">;
  /** Endpoints whose attach or detach is running. */
  readonly inFlight: ReadonlySet<string>;
  readonly snapshot: Snapshot | undefined;
  /** The journal may have something that the server does not know yet. */
  readonly isRegistering: boolean;
};

/** Throws if the kernel cannot be read. */
export async function inventoryOf(parts: InventoryParts): Promise<Inventory> {
  const { host, bootId, kernel, journal, inFlight, snapshot, isRegistering } = parts;
  const before = new Map(journal.entries);
  const busy = new Set(inFlight);
  const ports = await kernel.ports();
  for (const name of inFlight) busy.add(name);
  for (const name of new Set([...before.keys(), ...journal.entries.keys()]))
    if (before.get(name) !== journal.entries.get(name)) busy.add(name);
  const leases = (snapshot?.endpoints ?? []).filter((endpoint) => endpoint.spec.host === host);
  // A port's alias may be truncated; its name is a hash of the endpoint's whole name.
  const names = new Map(
    [...journal.entries.keys(), ...leases.map(({ spec }) => nameOnHost(spec))].map((n) => [portName(n), n]),
  );
  return {
    host,
    revision: snapshot?.revision ?? 0,
    entries: [...journal.entries.values()].map((entry) => entryOf(entry, isAlive(entry, bootId, kernel))),
    ports: ports.map(({ vrf, name, endpoint, far }) => ({
      vrf,
      name,
      endpoint: names.get(name) ?? endpoint,
      ...(far === undefined ? {} : { far }),
    })),
    busy: [...busy],
    telling: isRegistering,
  };
}

function entryOf({ endpoint: { name, revision, spec }, state }: Entry, alive: boolean): Inventory["entries"][number] {
  const { network, netns, mac, addresses } = spec;
  return { endpoint: name, network, netns, mac, addresses, revision, state, alive };
}
