// Answers what the server asks beside its change sets: does what it is told about single endpoints, then says what
// journal and kernel have. Every order goes the way that a workload's own request, or a round, would go, so none can do
// more than those, and each may come twice.
import type { Mirror } from "../../client/mirror.ts";
import type { Transport } from "../../client/transport.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Ask, Order } from "../../model/check.ts";
import { Fault, problemOf } from "../../model/fault.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Agent } from "../agent.ts";
import type { Door } from "../endpoint/attach.ts";
import { inventoryOf } from "./inventory.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { isAlive } from "../reconcile/localSnapshot.ts";

type OrderTo<D extends Order["do"]> = Extract<Order, { readonly do: D }>;

export type AnswerOptions = {
  readonly host: string;
  readonly agent: Agent;
  readonly door: Door;
  readonly kernel: Kernel;
  readonly journal: Journal;
  readonly mirror: Pick<Mirror, "onAsk" | "snapshot">;
  readonly transport: Pick<Transport, "attach" | "answer">;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

/** From now on, for as long as the mirror follows. A question that cannot be answered is logged: the server waits. */
export function answerAsks(options: AnswerOptions): void {
  options.mirror.onAsk((ask) => {
    void answer(options, ask).catch((error: unknown) => options.log("ask", { error: problemOf(error).detail }));
  });
}

async function answer(options: AnswerOptions, { id, orders }: Ask): Promise<void> {
  const { host, agent, kernel, journal, mirror, transport, log } = options;
  const done = await Promise.all(orders.map((order) => obey(options, order)));
  if (orders.length > 0) {
    log("orders", { orders: orders.length, refused: done.filter((why) => why !== "").length });
    // Whatever was changed is in the kernel, and known to the server, before it is looked at.
    await agent.roundNow();
    await agent.settleNow();
  }
  const { bootId, inFlight, isTelling } = agent;
  const snapshot = mirror.snapshot();
  const inventory = await inventoryOf({ host, bootId, kernel, journal, inFlight, snapshot, isTelling });
  await transport.answer({ ask: id, done, inventory });
}

/** Empty if it was done, else why not. */
async function obey(options: AnswerOptions, order: Order): Promise<string> {
  try {
    if (order.do === "detach") await detach(options, order);
    if (order.do === "take") await tell(options, take(options, order.endpoint));
    if (order.do === "tell") await tell(options, entryOf(options, order.endpoint));
    return "";
  } catch (error) {
    return problemOf(error).detail;
  }
}

/** Since the server looked, the name may have gone to another workload, or the workload may be there again. */
async function detach({ journal, agent, kernel, door }: AnswerOptions, order: OrderTo<"detach">): Promise<void> {
  const entry = journal.entries.get(order.endpoint);
  const what = `"${order.endpoint}" is not detached`;
  if (entry !== undefined && entry.endpoint.spec.addresses.join() !== order.addresses.join())
    throw new Fault("in-use", { what, why: "it has other addresses now", fix: "check again" });
  if (!order.alive && entry?.state === "attached" && isAlive(entry, agent.bootId, kernel))
    throw new Fault("in-use", { what, why: "its workload is there", fix: "check again" });
  await door.detach(order.endpoint);
}

/** The journal as the server has it; but in which namespace the workload is, only its host can know. */
function take(options: AnswerOptions, name: string): Entry {
  const { journal, mirror, host } = options;
  const entry = entryOf(options, name);
  const lease = mirror.snapshot()?.endpoints.find((one) => nameOnHost(one.spec) === name && one.spec.host === host);
  if (lease === undefined)
    throw new Fault("endpoint-unknown", { what: `the server has no "${name}" on host ${host}`, fix: "check again" });
  const taken = { ...entry, endpoint: { ...lease, name, spec: { ...lease.spec, netns: entry.endpoint.spec.netns } } };
  journal.put(taken);
  return taken;
}

async function tell({ transport }: AnswerOptions, { endpoint }: Entry): Promise<void> {
  const { detaching: _, ...claim } = endpoint.spec;
  await transport.attach(claim);
}

/** An entry that nobody is busy with. */
function entryOf({ journal, agent }: AnswerOptions, name: string): Entry {
  const entry = journal.entries.get(name);
  if (entry?.state === "attached" && !agent.inFlight.has(name)) return entry;
  throw new Fault(entry === undefined ? "endpoint-unknown" : "in-use", {
    what: entry === undefined ? `"${name}" is not attached here` : `"${name}" is being attached or detached`,
    fix: "check again",
  });
}
