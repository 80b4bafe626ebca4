// Answers the server's checks (`weft ipam check`) and preflights: carries out its orders about single endpoints, tries
// the ways to other hosts, then sends the inventory of journal and kernel. An order does what a workload's own request
// or a round would do, and no more; it may come twice.
import type { Mirror } from "../../client/mirror.ts";
import type { Transport } from "../../client/transport.ts";
import { portName } from "../../datapath/state/names.ts";
import { nsOf } from "../../datapath/world/placement.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Ask, Inventory, Order } from "../../model/check.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import { Fault, problemOf } from "../../model/fault.ts";
import type { Trial, TrialResult } from "../../model/preflight.ts";
import type { Attacher } from "../endpoint/attach.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import type { KernelView } from "../reconcile/kernelView.ts";
import type { Loop } from "../reconcile/loop.ts";
import type { Rounds } from "../reconcile/rounds.ts";
import { isAlive } from "../reconcile/snapshotSource.ts";

type OrderTo<D extends Order["do"]> = Extract<Order, { readonly do: D }>;

export type CheckResponderOptions = {
  readonly host: string;
  readonly bootId: string;
  readonly view: Pick<KernelView, "inFlight">;
  readonly rounds: Pick<Rounds, "now">;
  readonly registrar: Pick<Loop, "now" | "isAtRest">;
  readonly attacher: Pick<Attacher, "detach">;
  readonly kernel: Pick<Kernel, "ports" | "netnsId">;
  readonly journal: Journal;
  readonly mirror: Pick<Mirror, "onAsk" | "snapshot">;
  readonly transport: Pick<Transport, "attach" | "answer">;
  readonly tryWays: (trial: Trial) => Promise<TrialResult>;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

/** Answers every check from now on. One that cannot be answered is logged; the server waits for it in vain. */
export function answerChecks(options: CheckResponderOptions): void {
  options.mirror.onAsk((ask) => {
    void answer(options, ask).catch((error: unknown) => options.log("ask", { error: problemOf(error).detail }));
  });
}

async function answer(options: CheckResponderOptions, { id, orders, trial: asked }: Ask): Promise<void> {
  const { rounds, registrar, transport, tryWays, log } = options;
  const done = await Promise.all(orders.map((order) => obey(options, order)));
  if (orders.length > 0) {
    log("orders", { orders: orders.length, refused: done.filter((why) => why !== "").length });
    // The inventory must show the changes in the kernel and at the server.
    await rounds.now();
    await registrar.now();
  }
  const trial = asked === undefined ? {} : { trial: await tryWays(asked) };
  await transport.answer({ ask: id, done, inventory: await inventoryOf(options), ...trial });
}

/** An empty text if it was done, otherwise why not. */
async function obey(options: CheckResponderOptions, order: Order): Promise<string> {
  try {
    if (order.do === "detach") await detach(options, order);
    if (order.do === "take") await tell(options, take(options, order.endpoint));
    if (order.do === "tell") await tell(options, entryOf(options, order.endpoint));
    return "";
  } catch (error) {
    return problemOf(error).detail;
  }
}

/** Since the server decided, the name may have gone to another workload, or the workload may be back. */
async function detach(
  { journal, bootId, kernel, attacher }: CheckResponderOptions,
  order: OrderTo<"detach">,
): Promise<void> {
  const entry = journal.entries.get(order.endpoint);
  const what = `"${order.endpoint}" is not detached`;
  if (entry !== undefined && entry.endpoint.spec.addresses.join() !== order.addresses.join())
    throw new Fault("in-use", { what, why: "it has other addresses now", fix: "check again" });
  if (!order.alive && entry?.state === "attached" && isAlive(entry, bootId, kernel))
    throw new Fault("in-use", { what, why: "its workload is there", fix: "check again" });
  await attacher.detach(order.endpoint);
}

/** The journal takes over the server's lease, except the workload's namespace, which only its host knows. */
function take(options: CheckResponderOptions, name: string): Entry {
  const { journal, mirror, host } = options;
  const entry = entryOf(options, name);
  const lease = mirror.snapshot()?.endpoints.find((one) => nameOnHost(one.spec) === name && one.spec.host === host);
  if (lease === undefined)
    throw new Fault("endpoint-unknown", { what: `the server has no "${name}" on host ${host}`, fix: "check again" });
  const changed = { ...entry, endpoint: { ...lease, name, spec: { ...lease.spec, netns: entry.endpoint.spec.netns } } };
  journal.put(changed);
  return changed;
}

async function tell({ transport }: CheckResponderOptions, { endpoint }: Entry): Promise<void> {
  const { detaching: _, ...claim } = endpoint.spec;
  await transport.attach(claim);
}

/** The entry of an endpoint that is attached, with no attach or detach running. */
function entryOf({ journal, view }: CheckResponderOptions, name: string): Entry {
  const entry = journal.entries.get(name);
  if (entry?.state === "attached" && !view.inFlight.has(name)) return entry;
  throw new Fault(entry === undefined ? "endpoint-unknown" : "in-use", {
    what: entry === undefined ? `"${name}" is not attached here` : `"${name}" is being attached or detached`,
    fix: "check again",
  });
}

/** Read while attaches and detaches go on: what changed meanwhile is `busy`. Throws if the kernel cannot be read. */
export async function inventoryOf(
  options: Omit<CheckResponderOptions, "rounds" | "attacher" | "transport" | "tryWays" | "log">,
): Promise<Inventory> {
  const { host, bootId, kernel, journal, mirror, registrar, view } = options;
  const { inFlight } = view;
  const snapshot = mirror.snapshot();
  const telling = !registrar.isAtRest;
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
  const vrfs = new Map((snapshot?.vrfs ?? []).map((vrf) => [nsOf(vrf), vrf.name]));
  return {
    host,
    revision: snapshot?.revision ?? 0,
    entries: [...journal.entries.values()].map((entry) => {
      const { name, revision, spec } = entry.endpoint;
      const { network, netns, mac, addresses } = spec;
      const alive = isAlive(entry, bootId, kernel);
      return { endpoint: name, network, netns, mac, addresses, revision, state: entry.state, alive };
    }),
    ports: ports.map(({ netns: _, ns, ...port }) => ({
      ...port,
      vrf: vrfs.get(ns) ?? ns.slice(ns.indexOf(":") + 1),
      endpoint: names.get(port.name) ?? port.endpoint,
    })),
    busy: [...busy],
    telling,
  };
}
