// Puts the objects of one endpoint into the kernel: at once if its bridge is there (the fast path), otherwise by
// rounds.
import { portName } from "../../datapath/state/names.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { keyOf } from "../../datapath/state/state.ts";
import { Fault } from "../../model/fault.ts";
import type { Endpoint } from "../../model/resource.ts";
import { bridgeKey } from "./claim.ts";
import { canFastPath } from "./compile.ts";
import { faultOf } from "./faults.ts";
import type { EndpointParts } from "./parts.ts";

/** How many rounds an attach waits for. */
const ROUNDS_MAX = 3;

export class Installer {
  readonly #parts: Pick<EndpointParts, "view" | "kernel" | "rounds">;
  /** What the last round could not do, a line each. */
  readonly #errors: () => readonly string[];

  constructor(parts: Pick<EndpointParts, "view" | "kernel" | "rounds">, errors: () => readonly string[]) {
    this.#parts = parts;
    this.#errors = errors;
  }

  /** `speculated`: the pair that exists already; or `built`, if rounds have to check what was built. */
  async install(objects: readonly KernelObject[], endpoint: Endpoint, speculated?: Veth | "built"): Promise<void> {
    const { view, kernel } = this.#parts;
    const port = objects.find((object) => object.kind === "veth");
    if (port === undefined)
      throw new Fault("address-outside", {
        what: `${endpoint.spec.addresses.join(", ")} is on no bridge of this host`,
        fix: "detach and attach again",
      });
    const isReady = speculated !== "built" && view.state.has(bridgeKey(port)) && canFastPath(objects, endpoint);
    if (!isReady) return this.byRounds(objects, endpoint);
    const hasPair = speculated !== undefined && keyOf(speculated) === keyOf(port);
    const results = await view.apply(
      objects.map((object) =>
        hasPair && object === port ? { op: "set", from: speculated, object } : { op: "add", object },
      ),
    );
    const refused = results.find((result) => result.refusal !== undefined);
    if (refused?.refusal === undefined) return;
    const { netns, ifname } = endpoint.spec;
    // A route may exist already, on another interface whose default route leads to the same gateway.
    const isPort = refused.op.object.kind === "veth";
    const isTaken = isPort && refused.refusal.class === "exists" && kernel.linkNames(netns as Ns).includes(ifname);
    const isGone = refused.refusal.class === "missing" && kernel.netnsId(netns) === undefined;
    const isStale = refused.refusal.class === "exists" || refused.refusal.class === "missing";
    if (isTaken || isGone || !isStale) throw faultOf(refused.refusal, endpoint);
    // What was known of the kernel was old: a round observes it and builds what is missing.
    return this.byRounds(objects, endpoint);
  }

  /** Waits for rounds; more than one, because the remains of a removed network or a killed agent may be in the way. */
  async byRounds(objects: readonly KernelObject[], endpoint: Endpoint): Promise<void> {
    const { view, rounds, kernel } = this.#parts;
    const missing = () => objects.find((object) => !view.state.has(keyOf(object)));
    for (let round = 0; round < ROUNDS_MAX && (round === 0 || missing() !== undefined); round++) await rounds.now();
    const first = missing();
    if (first === undefined) return;
    const { netns, ifname } = endpoint.spec;
    const isTaken = first.kind === "veth" && kernel.linkNames(netns as Ns).includes(ifname);
    const errors = this.#errors();
    const error = errors.find((line) => line.includes(portName(endpoint.name))) ?? errors[0];
    throw faultOf({ class: isTaken ? "exists" : "invalid", message: error ?? "the kernel does not have it" }, endpoint);
  }
}
